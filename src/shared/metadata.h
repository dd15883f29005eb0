/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The metadata header of a service-script: "# key: value" lines in the first comment block that has any. Reading it
 * is pure logic; schedules and time spans are checked elsewhere, by systemd. */

#include "shared/util.h"

/* In bytes. */
#define SCRIPT_SIZE_MAX          (1024U * 1024U)
#define METADATA_NAME_MAX        128
#define METADATA_DESCRIPTION_MAX 512
#define METADATA_VERSION_MAX     64
#define METADATA_VALUE_MAX       256
#define METADATA_WATCHES_MAX     16
#define METADATA_WATCHES_SIZE    1024
#define UNIT_NAME_MAX            255

/* Passive keys are only shown. They change neither unit nor schedule nor sandbox. ssid sends them to the dashboard
 * as one object with at most METADATA_PASSIVE_MAX members; SIZE limits the sum of all names and values. */
#define METADATA_PASSIVE_MAX       16
#define METADATA_PASSIVE_KEY_MAX   32
#define METADATA_PASSIVE_VALUE_MAX 512
#define METADATA_PASSIVE_SIZE_MAX  4096

typedef enum MetadataKey {
        METADATA_NAME,
        METADATA_DESCRIPTION,
        METADATA_VERSION,
        METADATA_SCHEDULE,
        METADATA_TIMEOUT,
        METADATA_USER,
        METADATA_LABELS,
        METADATA_SANDBOX,
        METADATA_WATCHES,
        _METADATA_KEY_MAX,
} MetadataKey;

typedef struct ScriptProblem {
        unsigned line; /* from 1 */
        bool warning;  /* otherwise an error: the script cannot be installed */
        char *text;
} ScriptProblem;

typedef struct Metadata {
        char *slug;
        char *value[_METADATA_KEY_MAX];   /* NULL if not given; UTF-8 without control characters */
        unsigned line[_METADATA_KEY_MAX]; /* its line; 0 if not given */
        bool sandbox_off;

        ScriptProblem *problems;
        size_t n_problems, n_errors;
} Metadata;

/* Reads the header of the n bytes. Mistakes in it become problems, not a failure: returns 0 even if some are errors.
 * -ENOMEM. */
int metadata_parse(const char *content, size_t n, Metadata **ret);
Metadata *metadata_free(Metadata *m);
DEFINE_CLEANUP(Metadata *, metadata_free);

/* Adds a problem. At most 100 are kept. */
int metadata_add_problem(Metadata *m, unsigned line, bool warning, const char *format, ...) _printf_(4, 5);

/* "name", "description", … Static. */
const char *metadata_key_to_string(MetadataKey k);

/* The maximum length of the key's value, in bytes. */
size_t metadata_key_max(MetadataKey k);

/* Whether a script without this key is refused. */
bool metadata_key_is_required(MetadataKey k);
bool metadata_key_is_passive(MetadataKey k);

/* Whether key ([a-z-]) and value still fit into an object of passive keys with *n members and *size bytes. If they
 * fit, counts them. */
bool metadata_passive_fits(const char *key, const char *value, size_t *n, size_t *size);

/* Iterates over a list with commas ("a.service, b.socket"): sets *ret to the next word, which does not end with NUL,
 * advances *list and returns the word's length; 0 at the end. */
size_t metadata_next_word(const char **list, const char **ret);

/* Whether the script asks for more than the default sandbox allows (user: or sandbox: off). */
bool metadata_is_privileged(const Metadata *m);

/* The problems as text, one per line: "FILENAME:LINE: error: TEXT". NULL if out of memory. */
char *metadata_format_problems(const Metadata *m, const char *filename);
