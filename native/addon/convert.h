// Converts between JavaScript values and plain data, on the JavaScript thread. An unexpected value throws INVALID_ARGUMENT.
#pragma once
#include <napi.h>

#include <optional>
#include <string>
#include <vector>

#include "container/opener.h"
#include "container/sealer.h"
#include "environment.h"
#include "recipients/slots.h"
#include "status.h"

namespace mg::addon {

Napi::Object to_js(Napi::Env env, const Status& status);  // a NativeFailure
[[noreturn]] void raise(Napi::Env env, const Status& status);
[[noreturn]] void raise_argument(Napi::Env env, const std::string& what);

Napi::Uint8Array to_js(Napi::Env env, View bytes);  // a copy: public data only
Napi::String hex(Napi::Env env, View bytes);
Napi::Object to_js(Napi::Env env, const container::Header& header);  // a NativeHeaderInfo
Napi::Object to_js(Napi::Env env, const hardware::Helper& helper);   // a NativeMachineTerms

std::string as_string(Napi::Value value, const char* what);
uint64_t as_integer(Napi::Value value, const char* what);  // 0 … 2^53 - 1
View as_bytes(Napi::Value value, const char* what);        // valid until a script runs: a getter, a callback
Bytes copy_bytes(Napi::Value value, const char* what);     // OUT_OF_MEMORY
Napi::Object as_object(Napi::Value value, const char* what);
std::vector<Napi::Value> as_array(Napi::Value value, const char* what);
std::optional<std::string> optional_string(Napi::Object object, const char* name);
bool present(Napi::Object object, const char* name);

// A key that section 11 of docs/format.md refuses is KEY_INVALID here, so that it goes no further.
keys::PublicKey as_x25519(Napi::Value value, const char* what);
keys::PublicKey as_ed25519(Napi::Value value, const char* what);
recipients::Identities as_identities(Napi::Object request);  // its `identities`, `hardware`, `machines`
std::vector<recipients::Recipient> as_recipients(Napi::Value value);
container::Trust as_trust(Napi::Value value);
// The Work behind a NativeWork: that of its control, or a new one; threads set.
std::shared_ptr<Work> as_work(Napi::Value value);

// Value of a Result, or a throw.
template <class T>
T unwrap(Napi::Env env, Result<T> result) {
  if (!result.ok()) raise(env, result.status());
  return std::move(*result);
}

}  // namespace mg::addon
