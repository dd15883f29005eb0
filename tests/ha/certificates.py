# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files that the playbook is given: an authority, a certificate that it signed, and a key for web push."""
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def make_certificates(name):
    """{file: PEM}, valid from long before to long after, as clocks step."""
    now = datetime.datetime.utcnow()
    key, authority_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Reference cluster")])

    def builder(subject, public):
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(authority).public_key(public)
                .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=30))
                .not_valid_after(now + datetime.timedelta(days=300)))

    root = builder(authority, authority_key.public_key()).add_extension(x509.BasicConstraints(True, None), True) \
        .sign(authority_key, hashes.SHA256())
    leaf = builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key()) \
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False) \
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False).sign(authority_key, hashes.SHA256())
    return {"ca.pem": root.public_bytes(serialization.Encoding.PEM).decode(),
            "cert.pem": leaf.public_bytes(serialization.Encoding.PEM).decode(), "key.pem": pem(key)}


def make_push_key():
    return pem(ec.generate_private_key(ec.SECP256R1()))
