// Text that must mean the same on every machine: UTF-8, Unicode normalisation and folding (data of version 14.0), base64url.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "bytes.h"

namespace mg::text {

bool is_utf8(std::string_view s);        // strict: no surrogates, no overlong forms, no code point above U+10FFFF
std::string nfc(std::string_view utf8);  // input must be valid UTF-8
void nfc_into(std::string_view utf8, std::u32string& out);  // code points; the caller wipes them (passphrases)
std::string caseless_key(std::string_view utf8);            // NFD(toCasefold(NFD(s))), Unicode D145
bool is_name(std::string_view s);                           // [a-z0-9][a-z0-9._-]{0,127}

std::string base64url(View bytes);            // public values only: the string is not wiped
void base64url_encode(View bytes, Span out);  // out.size must be exactly ceil(4n/3)
// Canonical, unpadded. Returns false on any other character, length or stray bit; out.size must be the exact decoded size.
bool base64url_decode(std::string_view s, Span out);
size_t base64url_decoded_size(size_t encoded);  // 0 if no such length exists
std::string hex(View bytes);

}  // namespace mg::text
