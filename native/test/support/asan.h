// MG_UNDER_ASAN: AddressSanitizer watches this build. It reserves addresses beyond any limit, makes mlock() do nothing and report success, and
// reports faults in its own way.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define MG_UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MG_UNDER_ASAN 1
#endif
#endif
