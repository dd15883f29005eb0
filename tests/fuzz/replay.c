/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Replays files through a target without libFuzzer: replay FILE-OR-FOLDER… */

#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

#define INPUT_MAX (1024 * 1024)

static unsigned replayed;

static int replay_file(const char *path)
{
        _cleanup_free_ uint8_t *buffer = NULL, *exact = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;

        buffer = malloc(INPUT_MAX);
        f = fopen(path, "re");
        if (!buffer || !f)
                return -errno;
        n = fread(buffer, 1, INPUT_MAX, f);
        if (ferror(f))
                return -EIO;

        /* As long as the input and no longer, so that AddressSanitizer sees a read past its end. */
        exact = malloc(MAX(n, 1U));
        if (!exact)
                return -ENOMEM;
        memcpy(exact, buffer, n);
        fprintf(stderr, "%s\n", path);
        (void) LLVMFuzzerTestOneInput(exact, n);
        replayed++;
        return 0;
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

int main(int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                struct stat st;
                int r;

                r = stat(argv[i], &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? replay_folder(argv[i]) : replay_file(argv[i]);
                if (r < 0) {
                        fprintf(stderr, "%s: %s\n", argv[i], strerror(-r));
                        return EXIT_FAILURE;
                }
        }
        fprintf(stderr, "%u inputs\n", replayed);
        /* An empty corpus is a test that tests nothing. */
        return replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
