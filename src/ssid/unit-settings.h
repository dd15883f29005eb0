/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The settings of a service-script's unit, as one table: unit-file.h turns it into the text of an installed unit,
 * and into the properties of a transient unit. */

#include "shared/metadata.h"

typedef struct UnitSpec {
        const Metadata *metadata;
        uint64_t timeout_usec;
        uint64_t random_delay_usec; /* 0: none */
        const char *normalized;     /* the schedule as systemd writes it; NULL if unknown */
        uint64_t zone_minutes;      /* of the host's zone (schedule.h) */
        const char *test_path;      /* the script during a test; NULL for an installed service */
} UnitSpec;

/* The form of a value in a unit file, and its type on D-Bus (org.freedesktop.systemd1(5)). */
typedef enum UnitSettingType {
        UNIT_SETTING_TEXT,   /* as is; s */
        UNIT_SETTING_BOOL,   /* number; b */
        UNIT_SETTING_USEC,   /* number; t, of a property whose name ends in USec instead of Sec */
        UNIT_SETTING_COUNT,  /* number; t */
        UNIT_SETTING_BYTES,  /* number; t */
        UNIT_SETTING_MODE,   /* number; u */
        UNIT_SETTING_ERRNO,  /* text in the file, number; i */
        UNIT_SETTING_MASK,   /* text in the file, number; t */
        UNIT_SETTING_WORDS,  /* words; as */
        UNIT_SETTING_FILTER, /* words, all denied after a '~'; (bas) */
        UNIT_SETTING_FIELDS, /* words; aay */
        UNIT_SETTING_EXEC,   /* a path; a(sasb) */
} UnitSettingType;

typedef enum UnitSection {
        UNIT_SECTION_UNIT,
        UNIT_SECTION_SERVICE,
} UnitSection;

typedef struct UnitSetting {
        UnitSection section;
        const char *key;
        UnitSettingType type;
        const char *text;
        uint64_t number;
} UnitSetting;

/* Called for each setting, beginning with those of [Unit]; s is valid during the call. A negative errno ends the
 * visit. */
typedef int (*unit_setting_visit_t)(const UnitSetting *s, void *userdata);
int unit_settings_visit(const UnitSpec *spec, unit_setting_visit_t visit, void *userdata);
