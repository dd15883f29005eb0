/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The longest time that an export may take, in s, and that an account waits before the next one. */
#define EXPORT_SECONDS 300
/* Rows of a part. */
#define EXPORT_PAGE 100
