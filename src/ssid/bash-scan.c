/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bash-char.h"
#include "bash-scan.h"

#define DEPTH_MAX    64U
#define HEREDOCS_MAX 8U

typedef enum Inside {
        INSIDE_SCRIPT,
        INSIDE_PARENS,     /* "( … )" */
        INSIDE_SUBSTITUTE, /* "$( … )", "<( … )" */
        INSIDE_BACKTICKS,
        INSIDE_DOUBLE_QUOTES,
        INSIDE_BRACES,     /* "${ … }" */
        INSIDE_ARRAY,      /* "x=( … )" */
        INSIDE_ARITHMETIC, /* "(( … ))", "$(( … ))" */
} Inside;

typedef struct Level {
        Inside inside;
        unsigned n_cases;  /* case commands that have not ended */
        bool case_begun;   /* its "in" has not come yet */
        bool pattern;      /* a pattern, up to its ")" */
        bool test;         /* "[[ … ]]" */
        unsigned n_parens; /* open ones in arithmetic */
        bool resume_start; /* whether a command may begin after this level */
} Level;

typedef struct Heredoc {
        const char *word;
        size_t n;
        bool tabs;
} Heredoc;

struct BashScan {
        const char *begin, *s, *end;
        unsigned line;
        bool start; /* a command may begin here */
        Level levels[DEPTH_MAX];
        size_t depth;
        Heredoc heredocs[HEREDOCS_MAX];
        size_t n_heredocs;
        bool function; /* the next word is the name of a function */
        bool confused;
        bash_scan_visit_t visit;
        void *userdata;
};

static Level *top(BashScan *c)
{
        return c->levels + c->depth;
}

static void push(BashScan *c, Inside inside, bool start)
{
        if (c->depth + 1 == DEPTH_MAX) {
                c->confused = true;
                return;
        }
        c->levels[++c->depth] = (Level){ .inside = inside, .resume_start = c->start };
        c->start = start;
}

static void pop(BashScan *c)
{
        if (c->depth == 0) {
                c->confused = true;
                return;
        }
        c->start = top(c)->resume_start;
        c->depth--;
}

static void set_start(BashScan *c, bool start)
{
        c->start = start && !top(c)->pattern && !top(c)->test;
}

static bool looking_at(const BashScan *c, const char *what)
{
        size_t n = strlen(what);

        return (size_t) (c->end - c->s) >= n && memcmp(c->s, what, n) == 0;
}

static void skip_single_quotes(BashScan *c)
{
        for (c->s++; c->s < c->end && *c->s != '\''; c->s++)
                c->line += *c->s == '\n';
        c->s += c->s < c->end;
}

/* Skips $'…', where a backslash escapes the next character. */
static void skip_ansi_quotes(BashScan *c)
{
        for (c->s += 2; c->s < c->end && *c->s != '\''; c->s++) {
                if (*c->s == '\\' && c->s + 1 < c->end)
                        c->s++;
                c->line += *c->s == '\n';
        }
        c->s += c->s < c->end;
}

/* ---- Here-documents ---- */

static void note_heredoc(BashScan *c)
{
        Heredoc h = {};
        char quote = 0;

        c->s += 2;
        if (c->s < c->end && *c->s == '<') {
                c->s++; /* <<< */
                return;
        }
        if (c->s < c->end && *c->s == '-') {
                h.tabs = true;
                c->s++;
        }
        while (c->s < c->end && (*c->s == ' ' || *c->s == '\t'))
                c->s++;
        if (c->s < c->end && strchr("'\"\\", *c->s))
                quote = *c->s++;
        h.word = c->s;
        while (c->s < c->end && is(*c->s, WORD))
                c->s++;
        h.n = (size_t) (c->s - h.word);
        if (quote && quote != '\\') {
                if (c->s == c->end || *c->s != quote)
                        c->confused = true;
                else
                        c->s++;
        }
        if (h.n == 0 || c->n_heredocs == HEREDOCS_MAX)
                c->confused = true;
        else
                c->heredocs[c->n_heredocs++] = h;
}

/* At the beginning of a line: skips the bodies of the here-documents that the previous line announced. */
static void skip_heredocs(BashScan *c)
{
        for (size_t i = 0; i < c->n_heredocs; i++) {
                const Heredoc *h = c->heredocs + i;
                bool ended = false;

                while (!ended && c->s < c->end) {
                        const char *eol = memchr(c->s, '\n', (size_t) (c->end - c->s)) ?: c->end, *text = c->s;

                        while (h->tabs && text < eol && *text == '\t')
                                text++;
                        ended = (size_t) (eol - text) == h->n && memcmp(text, h->word, h->n) == 0;
                        c->s = eol + (eol < c->end);
                        c->line += eol < c->end;
                }
        }
        c->n_heredocs = 0;
}

/* ---- Words ---- */

static bool equals(const char *s, size_t n, const char *word)
{
        return n == strlen(word) && memcmp(s, word, n) == 0;
}

/* A command may follow these words. */
static bool is_prefix(const char *s, size_t n)
{
        static const char *const words[] = {
                "if", "then", "elif", "else", "while",   "until", "do",
                "!",  "{",    "time", "exec", "command", "nohup", "ssi_nagios",
        };

        if (n > strlen("ssi_nagios"))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (s[0] == words[i][0] && equals(s, n, words[i]))
                        return true;
        return false;
}

/* "x=…", "x+=…", "x[1]=…" */
static bool is_assignment(const char *s, size_t n)
{
        const char *equal = memchr(s, '=', n);

        return equal && equal > s && ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '_');
}

static bool is_followed_by_parens(const BashScan *c)
{
        const char *s = c->s;

        while (s < c->end && (*s == ' ' || *s == '\t'))
                s++;
        return s < c->end && *s == '(';
}

/* Whether a command's name may end here. */
static bool is_ended(BashScan *c)
{
        return c->s == c->end || is(*c->s, ENDS_CMD) || (*c->s == ')' && top(c)->inside == INSIDE_SUBSTITUTE);
}

static void tell(BashScan *c, const char *s, size_t n)
{
        const BashWord word = { .s = s, .n = n, .line = c->line, .function = c->function || is_followed_by_parens(c) };

        if (word.function || (c->start && is_ended(c)))
                c->visit(&word, c->userdata);
}

/* Handles case WORD in PATTERN) … ;; esac, and [[ … ]]. */
static void take_keyword(BashScan *c, const char *s, size_t n)
{
        Level *l = top(c);

        if (c->start && equals(s, n, "case")) {
                l->n_cases++;
                l->case_begun = true;
        } else if (l->case_begun && equals(s, n, "in")) {
                l->case_begun = false;
                l->pattern = true;
        } else if (l->n_cases > 0 && (c->start || l->pattern) && equals(s, n, "esac")) {
                l->n_cases--;
                l->pattern = false;
        } else if (c->start && equals(s, n, "[["))
                l->test = true;
        else if (l->test && equals(s, n, "]]"))
                l->test = false;
}

static void read_word(BashScan *c)
{
        const char *s = c->s;
        size_t n;

        while (c->s < c->end && is(*c->s, WORD))
                c->s++;
        n = (size_t) (c->s - s);
        if (is_assignment(s, n)) {
                if (s[n - 1] == '=' && c->s < c->end && *c->s == '(') {
                        c->s++;
                        push(c, INSIDE_ARRAY, false);
                }
                /* The rest of the value is not a command: "x=$y", "x='a b'". */
                return;
        }
        tell(c, s, n);
        c->function = c->start && equals(s, n, "function");
        take_keyword(c, s, n);
        c->start = c->start && is_prefix(s, n);
}

/* ---- The scan ---- */

static void close_paren(BashScan *c)
{
        Level *l = top(c);

        c->s++;
        if (l->pattern) {
                l->pattern = false;
                c->start = true;
        } else if (l->inside == INSIDE_PARENS || l->inside == INSIDE_SUBSTITUTE || l->inside == INSIDE_ARRAY)
                pop(c);
        else
                c->confused = true;
}

static void open_paren(BashScan *c)
{
        bool test = top(c)->test;

        if (looking_at(c, "((")) {
                c->s += 2;
                c->start = false;
                push(c, INSIDE_ARITHMETIC, false);
        } else if (looking_at(c, "()")) {
                /* A function's body follows. */
                c->s += 2;
                set_start(c, true);
        } else if (top(c)->pattern)
                c->s++;
        else {
                c->s++;
                c->start = false;
                push(c, INSIDE_PARENS, !test);
                top(c)->test = test;
        }
}

static void step_arithmetic(BashScan *c)
{
        Level *l = top(c);

        if (*c->s == '(')
                l->n_parens++;
        else if (*c->s == ')' && l->n_parens > 0)
                l->n_parens--;
        else if (looking_at(c, "))")) {
                c->s += 2;
                pop(c);
                return;
        }
        c->line += *c->s++ == '\n';
}

/* Skips "$…", inside or outside quotes. A command may begin after the value of an assignment, but not after any
 * other word. */
static void dollar(BashScan *c, bool word_goes_on)
{
        c->start = c->start && word_goes_on;
        if (looking_at(c, "$((")) {
                c->s += 3;
                push(c, INSIDE_ARITHMETIC, false);
        } else if (looking_at(c, "$(")) {
                c->s += 2;
                push(c, INSIDE_SUBSTITUTE, true);
        } else if (looking_at(c, "${")) {
                c->s += 2;
                push(c, INSIDE_BRACES, false);
        } else if (looking_at(c, "$'") && top(c)->inside != INSIDE_DOUBLE_QUOTES)
                skip_ansi_quotes(c);
        else if (looking_at(c, "$#") || looking_at(c, "$$"))
                c->s += 2; /* neither a comment nor another variable */
        else
                for (c->s++; c->s < c->end && is(*c->s, NAME);)
                        c->s++;
}

static void backtick(BashScan *c, bool word_goes_on)
{
        c->s++;
        for (size_t i = c->depth + 1; i-- > 0;)
                if (c->levels[i].inside == INSIDE_BACKTICKS) {
                        c->depth = i;
                        pop(c);
                        return;
                }
        c->start = c->start && word_goes_on;
        push(c, INSIDE_BACKTICKS, true);
}

static void newline(BashScan *c)
{
        Inside inside = top(c)->inside;

        c->s++;
        c->line++;
        c->function = false;
        if (inside != INSIDE_ARRAY)
                set_start(c, true);
        if (c->n_heredocs > 0)
                skip_heredocs(c);
}

/* Inside double quotes, or inside "${…}", which may itself be quoted. */
static void step_quoted(BashScan *c)
{
        Inside inside = top(c)->inside;

        if (*c->s == '"') {
                c->s++;
                if (inside == INSIDE_DOUBLE_QUOTES)
                        pop(c);
                else
                        push(c, INSIDE_DOUBLE_QUOTES, false);
        } else if (*c->s == '}' && inside == INSIDE_BRACES) {
                c->s++;
                pop(c);
        } else if (*c->s == '\'' && inside == INSIDE_BRACES && top(c)[-1].inside != INSIDE_DOUBLE_QUOTES)
                skip_single_quotes(c);
        else
                c->line += *c->s++ == '\n';
}

/* ";", "|", "&" */
static void operator(BashScan *c)
{
        if (looking_at(c, ";;") || looking_at(c, ";&")) {
                top(c)->pattern = top(c)->n_cases > 0;
                c->s++;
        }
        /* A command may follow, except after the "&" of ">&2" and "&>". */
        set_start(c, !(*c->s == '&' && ((c->s > c->begin && strchr("<>", c->s[-1])) || looking_at(c, "&>"))));
        c->s++;
}

static void step_code(BashScan *c, bool word_goes_on)
{
        switch (*c->s) {
        case '\n':
                newline(c);
                return;
        case '#':
                if (word_goes_on)
                        c->s++;
                else
                        c->s = memchr(c->s, '\n', (size_t) (c->end - c->s)) ?: c->end;
                return;
        case '\'':
                c->start = c->start && word_goes_on;
                skip_single_quotes(c);
                return;
        case '"':
                c->start = c->start && word_goes_on;
                c->s++;
                push(c, INSIDE_DOUBLE_QUOTES, false);
                return;
        case '(':
                open_paren(c);
                return;
        case ')':
                close_paren(c);
                return;
        case '<':
                if (looking_at(c, "<<"))
                        note_heredoc(c);
                else
                        c->s++;
                return;
        case ';':
        case '|':
        case '&':
                operator(c);
                return;
        default:
                if (is(*c->s, WORD) && !word_goes_on)
                        read_word(c);
                else {
                        /* This word is not just a name. */
                        if (is(*c->s, WORD))
                                c->start = false;
                        c->s++;
                }
                return;
        }
}

static void step(BashScan *c)
{
        /* Whether the next character continues the previous word. */
        bool word_goes_on = c->s > c->begin && !is(c->s[-1], ENDS);
        Inside inside = top(c)->inside;

        if (*c->s == '\\') {
                bool continued = looking_at(c, "\\\n");

                c->line += continued;
                c->start = c->start && continued;
                c->s += c->end - c->s > 1 ? 2 : 1;
        } else if (inside == INSIDE_ARITHMETIC)
                step_arithmetic(c);
        else if (*c->s == '$')
                dollar(c, word_goes_on);
        else if (*c->s == '`')
                backtick(c, word_goes_on);
        else if (inside == INSIDE_DOUBLE_QUOTES || inside == INSIDE_BRACES)
                step_quoted(c);
        else
                step_code(c, word_goes_on);
}

int bash_scan_new(const char *content, size_t n, bash_scan_visit_t visit, void *userdata, BashScan **ret)
{
        BashScan *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->begin = c->s = content;
        c->end = content + n;
        c->line = 1;
        c->start = true;
        c->visit = visit;
        c->userdata = userdata;
        *ret = c;
        return 0;
}

BashScan *bash_scan_free(BashScan *c)
{
        free(c);
        return NULL;
}

bool bash_scan_read(BashScan *c, size_t n)
{
        const char *until = c->s + MIN(n, (size_t) (c->end - c->s));

        while (c->s < until && !c->confused)
                step(c);
        return c->s == c->end || c->confused;
}
