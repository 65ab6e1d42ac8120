# The one release of OpenSSL that prebuilt addons carry. Sourced by build.sh; who follows its advisories: docs/decisions/0029.
OPENSSL_VERSION=3.5.7
OPENSSL_SHA256=a8c0d28a529ca480f9f36cf5792e2cd21984552a3c8e4aa11a24aa31aeac98e8
# Seconds since 1970, in the place of the time of the build: the release's day.
OPENSSL_DATE=1780963200
# Where the archive is asked for, in turn; its digest decides whether it is taken. Debian keeps the same file.
OPENSSL_URLS=(
  "https://github.com/openssl/openssl/releases/download/openssl-$OPENSSL_VERSION/openssl-$OPENSSL_VERSION.tar.gz"
  "https://www.openssl.org/source/openssl-$OPENSSL_VERSION.tar.gz"
  "http://deb.debian.org/debian/pool/main/o/openssl/openssl_$OPENSSL_VERSION.orig.tar.gz"
)
