/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Replays inputs through a target without libFuzzer: replay [--packed FILE]… [FILE-OR-FOLDER]… A packed file is one of those that
 * ./corpus writes: an input on each line. */

#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

#define INPUT_MAX (1024 * 1024)

static unsigned replayed;

static int replay(const char *what, const void *input, size_t n)
{
        /* As long as the input and no longer, so that AddressSanitizer sees a read past its end. */
        _cleanup_free_ uint8_t *exact = malloc(MAX(n, 1U));

        if (!exact)
                return -ENOMEM;
        memcpy(exact, input, n);
        fprintf(stderr, "%s\n", what);
        (void) LLVMFuzzerTestOneInput(exact, n);
        replayed++;
        return 0;
}

static int replay_file(const char *path)
{
        _cleanup_free_ uint8_t *buffer = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;

        buffer = malloc(INPUT_MAX);
        f = fopen(path, "re");
        if (!buffer || !f)
                return -errno;
        n = fread(buffer, 1, INPUT_MAX, f);
        if (ferror(f))
                return -EIO;
        return replay(path, buffer, n);
}

static int replay_folder(const char *path)
{
        struct dirent **entries;
        int n, r = 0;

        n = scandir(path, &entries, NULL, alphasort);
        if (n < 0)
                return -errno;
        for (int i = 0; i < n; i++) {
                _cleanup_free_ struct dirent *d = entries[i];
                _cleanup_free_ char *file = NULL;

                if (r < 0 || d->d_name[0] == '.')
                        continue;
                r = asprintf(&file, "%s/%s", path, d->d_name) < 0 ? -ENOMEM : replay_file(file);
        }
        free(entries);
        return r;
}

static int digit(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. */
static int unescape(char *s, size_t *ret_n)
{
        static const char from[] = "\\nrt", to[] = "\\\n\r\t";
        char *out = s;

        for (const char *p = s; *p; p++) {
                const char *short_form;

                if (*p != '\\') {
                        *out++ = *p;
                        continue;
                }
                p++;
                short_form = *p ? strchr(from, *p) : NULL;
                if (short_form)
                        *out++ = to[short_form - from];
                else if (*p == 'x' && digit(p[1]) >= 0 && digit(p[2]) >= 0) {
                        *out++ = (char) (digit(p[1]) << 4 | digit(p[2]));
                        p += 2;
                } else
                        return -EINVAL;
        }
        *ret_n = (size_t) (out - s);
        return 0;
}

static int replay_packed(const char *path)
{
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        _cleanup_free_ char *line = NULL;
        size_t size = 0;
        ssize_t n;
        int r = 0;

        if (!f)
                return -errno;
        for (unsigned number = 1; r >= 0 && (n = getline(&line, &size, f)) > 0; number++) {
                _cleanup_free_ char *what = NULL;
                size_t length;
                char *text;

                if (line[0] == '#')
                        continue;
                line[strcspn(line, "\n")] = '\0';
                text = line + strcspn(line, " ");
                if (*text)
                        *text++ = '\0';
                r = asprintf(&what, "%s:%u %s", path, number, line) < 0 ? -ENOMEM : unescape(text, &length);
                if (r >= 0)
                        r = replay(what, text, length);
        }
        return r < 0 ? r : ferror(f) ? -EIO : 0;
}

static int replay_any(const char *path)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return -errno;
        return S_ISDIR(st.st_mode) ? replay_folder(path) : replay_file(path);
}

int main(int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                int r;

                if (streq(argv[i], "--packed") && argv[i + 1])
                        r = replay_packed(argv[++i]);
                else
                        r = replay_any(argv[i]);
                if (r < 0) {
                        fprintf(stderr, "%s: %s\n", argv[i], strerror(-r));
                        return EXIT_FAILURE;
                }
        }
        fprintf(stderr, "%u inputs\n", replayed);
        /* An empty corpus is a test that tests nothing. */
        return replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
