/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/email.h"
#include "shared/util.h"

void email_fold(char *s)
{
        for (; *s; s++)
                if (*s >= 'A' && *s <= 'Z')
                        *s = (char) (*s - 'A' + 'a');
}

static bool is_ascii(const char *s)
{
        for (; *s; s++)
                if ((unsigned char) *s >= 0x80)
                        return false;
        return true;
}

bool email_is_plausible(const char *s)
{
        const char *at = strchr(s, '@');

        return strlen(s) <= EMAIL_MAX && at && at != s && at[1] != '\0' && !strchr(at + 1, '@') && !strchr(s, ' ') &&
               text_is_line(s);
}

bool email_is_mailbox(const char *s)
{
        return email_is_plausible(s) && utf8_is_valid(s, strlen(s)) && !strpbrk(s, "<>()[],:;\\\"");
}

bool email_is_acceptable(const char *s)
{
        return email_is_mailbox(s) && is_ascii(s);
}
