/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "config/item.h"
#include "config/share.h"

static int quota_text(const Quota *q, char **ret)
{
        int n;

        if (q->automatic)
                n = asprintf(ret, "%s", "");
        else if (q->value == QUOTA_NONE)
                n = asprintf(ret, "none");
        else if (q->burst > 0)
                n = asprintf(ret, "%" PRIu64 ":%" PRIu64, q->value, q->burst);
        else
                n = asprintf(ret, "%" PRIu64, q->value);
        return n < 0 ? -ENOMEM : 0;
}

static const char *choice_name(const ConfigItem *item, unsigned n)
{
        const char *c = item->choices;

        while (n-- > 0 && *c)
                c += strlen(c) + 1;
        return c;
}

/* As config_item_set() reads it. */
static int value_text(const ConfigItem *item, const Config *c, char **ret)
{
        const void *p = (const char *) c + item->offset;
        int n;

        if (config_item_is_string(item))
                n = asprintf(ret, "%s", strempty(*(char *const *) p));
        else if (item->type == CONFIG_QUOTA)
                return quota_text(p, ret);
        else if (item->type == CONFIG_BOOLEAN)
                n = asprintf(ret, "%s", *(const bool *) p ? "yes" : "no");
        else if (item->type == CONFIG_CHOICE)
                n = asprintf(ret, "%s", choice_name(item, *(const unsigned *) p));
        else
                n = asprintf(ret, "%u", *(const unsigned *) p);
        return n < 0 ? -ENOMEM : 0;
}

static int collect(const Config *c, bool own, json_object **ret)
{
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o)
                return -ENOMEM;
        for (size_t i = 0; i < CONFIG_ITEMS; i++) {
                _cleanup_free_ char *text = NULL;

                if (!config_items[i].shared || (own && !(c->from_file & UINT64_C(1) << i)))
                        continue;
                if (value_text(config_items + i, c, &text) < 0 || json_add_string(o, config_items[i].name, text) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(o);
        return 0;
}

int config_shared(const Config *c, json_object **ret)
{
        return collect(c, false, ret);
}

int config_shared_own(const Config *c, json_object **ret)
{
        return collect(c, true, ret);
}

bool config_is_same_value(const char *name, const char *a, const char *b)
{
        _cleanup_(config_done) Config x = {}, y = {};
        const ConfigItem *item = config_item_find(name);

        return item && item->shared && config_item_set(item, &x, a) >= 0 && config_item_set(item, &y, b) >= 0 &&
               config_item_is_same(item, &x, &y);
}

bool config_is_file(const char *name)
{
        const ConfigItem *item = config_item_find(name);

        return item && item->type == CONFIG_FILE;
}

int config_write_line(FILE *f, const char *name, const char *value)
{
        for (const char *s = value; *s; s++)
                if ((unsigned char) *s < ' ' || *s == 0x7f)
                        return -EINVAL;
        fprintf(f, "%s=\"", name);
        for (const char *s = value; *s; s++) {
                if (strchr("\"\\$`", *s))
                        fputc('\\', f);
                fputc(*s, f);
        }
        fputs("\"\n", f);
        return ferror(f) ? -EIO : 0;
}
