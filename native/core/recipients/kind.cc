#include "recipients/kind.h"

namespace mg::recipients {

Status Kind::check_public_part(View) const {
  return Status(Code::INVALID_ARGUMENT, std::string("a ") + name + " recipient is a key, and has no public part");
}

Status Kind::check_size(View body, size_t size) {
  if (body.size == size) return {};
  return Status(Code::CONTAINER_MALFORMED,
                "has a body of " + std::to_string(body.size) + " bytes, it must have " + std::to_string(size));
}

Bytes Kind::info(const crypto::Sha384& core_hash) const {
  Bytes info;
  append(info, View("model-guard/v1/slot/"));
  append(info, View(name));
  info.push_back(0);
  append(info, View(core_hash));
  return info;
}

}  // namespace mg::recipients
