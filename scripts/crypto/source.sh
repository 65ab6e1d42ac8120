# The releases of OpenSSL and libipsec-mb that prebuilt addons carry parts of. Sourced by the scripts beside it; who follows their
# advisories: docs/decisions/0029 and 0031. An archive's digest decides whether it is taken; its addresses are tried in turn.
OPENSSL_VERSION=3.5.7
OPENSSL_SHA256=a8c0d28a529ca480f9f36cf5792e2cd21984552a3c8e4aa11a24aa31aeac98e8
# Seconds since 1970, in the place of the time of the build: the release's day.
OPENSSL_DATE=1780963200
OPENSSL_URLS=(
  "https://github.com/openssl/openssl/releases/download/openssl-$OPENSSL_VERSION/openssl-$OPENSSL_VERSION.tar.gz"
  "https://www.openssl.org/source/openssl-$OPENSSL_VERSION.tar.gz"
  "http://deb.debian.org/debian/pool/main/o/openssl/openssl_$OPENSSL_VERSION.orig.tar.gz"
)

# Debian's copy of the release: GitHub packs an archive of its own at each download.
IPSEC_MB_VERSION=1.3
IPSEC_MB_SHA256=9469c04f5a970989628b9a64ff6785ce60b5c42d32c1f5284c4c6e0c292cd83c
IPSEC_MB_URLS=(
  "http://deb.debian.org/debian/pool/main/i/intel-ipsec-mb/intel-ipsec-mb_$IPSEC_MB_VERSION.orig.tar.xz"
  "http://snapshot.debian.org/archive/debian/20250520T000000Z/pool/main/i/intel-ipsec-mb/intel-ipsec-mb_$IPSEC_MB_VERSION.orig.tar.xz"
)

CRYPTO_VERSIONS="OpenSSL $OPENSSL_VERSION, libipsec-mb $IPSEC_MB_VERSION"
