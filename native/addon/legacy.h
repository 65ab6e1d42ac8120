// An artifact of the legacy profile as JavaScript names it, with the key to open it.
#pragma once
#include <napi.h>

#include <memory>
#include <string>

#include "legacy/legacy.h"

namespace mg::addon {

// Made on the JavaScript thread, opened once, on an engine thread.
struct LegacyRequest {
  Bytes bytes;                   // a copy, where there is no file
  std::string file, small, big;  // one file, or two parts
  legacy::KeyString key;

  Result<std::unique_ptr<legacy::Decrypted>> open();
};
std::shared_ptr<LegacyRequest> as_legacy(Napi::Value artifact, Napi::Value key);

Napi::Value new_legacy_reader(Napi::Env env, std::shared_ptr<legacy::Decrypted> from);

}  // namespace mg::addon
