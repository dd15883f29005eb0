/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <zxcvbn.h>

#include "model/rules.h"
#include "shared/util.h"

static bool has_length(const char *s, size_t min, size_t max)
{
        size_t n = strlen(s);

        return n >= min && n <= max;
}

/* The longer the password, the longer zxcvbn takes: for 40 bytes, at most 2 ms. A longer password is as good as its
 * beginning. */
#define JUDGED_BYTES 40

/* 2^25 guesses take sixty years at the rate at which an account may be guessed at (auth/throttle.h). */
#define ENTROPY_MIN 25.0

static bool is_guessable(const char *s, const char *email)
{
        char address[EMAIL_MAX + 1], local[EMAIL_MAX + 1], judged[JUDGED_BYTES + 1];
        const char *words[] = { "service status indicator", address, local, NULL };

        snprintf(address, sizeof(address), "%s", strempty(email));
        email_fold(address);
        snprintf(local, sizeof(local), "%.*s", (int) strcspn(address, "@"), address);
        if (address[0] == '\0')
                words[1] = NULL;
        snprintf(judged, sizeof(judged), "%s", s);
        return ZxcvbnMatch(judged, words, NULL) < ENTROPY_MIN;
}

static size_t count_characters(const char *s)
{
        size_t n = 0;

        for (const char *p = s; *p; p++)
                n += ((unsigned char) *p & 0xc0) != 0x80 && (*p != ' ' || p == s || p[-1] != ' ');
        return n;
}

const char *password_fault(const char *s, const char *email)
{
        if (count_characters(s) < PASSWORD_MIN || strlen(s) > PASSWORD_MAX)
                return "A password must have at least " STRINGIFY(PASSWORD_MIN) " characters, and at most " STRINGIFY(
                        PASSWORD_MAX) " bytes.";
        if (is_guessable(s, email))
                return "This password is too easy to guess. Choose another one, for example of four unrelated words.";
        return NULL;
}

bool label_is_valid(const char *s)
{
        return has_length(s, 1, LABEL_MAX) && text_is_line(s);
}

bool server_name_is_valid(const char *s)
{
        return has_length(s, 1, SERVER_NAME_MAX) && text_is_line(s);
}
