#include "recipients/table.h"

#include <tuple>

#include "recipients/kinds.inc"

namespace mg::recipients {
namespace {

const Kind* find_if(const std::function<bool(const Kind&)>& wanted) {
  for (const Kind* kind : kinds()) {
    if (wanted(*kind)) return kind;
  }
  return nullptr;
}

}  // namespace

const std::vector<const Kind*>& kinds() {
  static const AllKinds each{};
  static const auto all = std::apply([](const auto&... kind) { return std::vector<const Kind*>{&kind...}; }, each);
  return all;
}

const Kind* find_kind(uint16_t number) {
  return find_if([&](const Kind& kind) { return kind.number == number; });
}

const Kind* find_kind(const std::string& name) {
  return find_if([&](const Kind& kind) { return kind.name == name; });
}

const char* kind_name(uint16_t number) {
  const Kind* kind = find_kind(number);
  return kind ? kind->name : "unknown";
}

}  // namespace mg::recipients
