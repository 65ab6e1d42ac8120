#include "status.h"

#include <cerrno>
#include <cstring>
#include <new>
#include <stdexcept>

namespace mg {

const char* code_name(Code code) {
  switch (code) {
#define X(name) \
  case Code::name: return #name;
    MG_CODES(X)
#undef X
  }
  return "INTERNAL";
}

namespace {
Code code_of(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR: return Code::NOT_FOUND;
    case EEXIST: return Code::ALREADY_EXISTS;
    case EACCES:
    case EPERM: return Code::PERMISSION_DENIED;
    case EROFS: return Code::READ_ONLY;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return Code::NO_SPACE;
    case ELOOP: return Code::SOURCE_UNSUPPORTED;  // O_NOFOLLOW met a symbolic link
    case ENOMEM: return Code::OUT_OF_MEMORY;
    default: return Code::IO_FAILED;
  }
}
}  // namespace

Status Status::from_errno(int error, const std::string& action, const std::string& path) {
  std::string what = action;
  if (!path.empty()) what += " '" + path + "'";
  what += ": ";
  what += std::strerror(error);
  return Status(code_of(error), what, error);
}

Status Status::from_exception(const std::exception& error) noexcept {
  const char* const no_memory = "no memory left";  // so short that std::string holds it without an allocation
  if (dynamic_cast<const std::bad_alloc*>(&error) || dynamic_cast<const std::length_error*>(&error))
    return Status(Code::OUT_OF_MEMORY, no_memory);
  try {
    return Status(Code::INTERNAL, std::string("an exception that nothing handles: ") + error.what());
  } catch (const std::exception&) {
    return Status(Code::OUT_OF_MEMORY, no_memory);
  }
}

}  // namespace mg
