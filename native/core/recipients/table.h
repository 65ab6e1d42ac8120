// The table of kinds: each file of kinds/ is one, a class named like the file. list-kinds.mjs writes kinds.inc for every build.
#pragma once
#include "recipients/kind.h"

namespace mg::recipients {

const std::vector<const Kind*>& kinds();

const Kind* find_kind(uint16_t number);          // null where this release has none
const Kind* find_kind(const std::string& name);  // null where this release has none
const char* kind_name(uint16_t number);          // "unknown" where this release has none

}  // namespace mg::recipients
