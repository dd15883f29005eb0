/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "shared/tls/pem-file.h"
#include "shared/io-util.h"

int pem_file_read(int dir, const char *name, X509 **ret_cert, EVP_PKEY **ret_key)
{
        _cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
        _cleanup_(x509_freep) X509 *cert = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        int fd;

        fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        f = fdopen(fd, "r");
        if (!f) {
                close(fd);
                return -ENOMEM;
        }
        if (ret_cert) {
                cert = PEM_read_X509(f, NULL, NULL, NULL);
                if (!cert)
                        return -EBADMSG;
                rewind(f);
        }
        if (ret_key) {
                key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
                if (!key)
                        return -EBADMSG;
                *ret_key = TAKE_PTR(key);
        }
        if (ret_cert)
                *ret_cert = TAKE_PTR(cert);
        return 0;
}

int pem_file_write(int dir, const char *name, mode_t mode, X509 *cert, EVP_PKEY *key)
{
        _cleanup_(bio_freep) BIO *b = BIO_new(BIO_s_secmem());
        char *data;
        long n;

        if (!b || (cert && PEM_write_bio_X509(b, cert) != 1) ||
            (key && PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) != 1))
                return -EIO;
        n = BIO_get_mem_data(b, &data);
        return n > 0 ? replace_file_at(dir, name, mode, data, (size_t) n) : -EIO;
}
