// Where MODEL_GUARD_TEST_CAGE is set, Node-API answers as in a runtime whose arrays must lie in memory of its own, such as Electron.
// The linker leads the addon's calls here (--wrap).
#include <node_api.h>

#include <cstdlib>

extern "C" {

napi_status __real_napi_create_external_arraybuffer(napi_env, void*, size_t, napi_finalize, void*, napi_value*);

// Node's own answer there: the finalizer does not run.
napi_status __wrap_napi_create_external_arraybuffer(napi_env env, void* data, size_t size, napi_finalize finalize, void* hint,
                                                    napi_value* result) {
  if (std::getenv("MODEL_GUARD_TEST_CAGE")) return napi_no_external_buffers_allowed;
  return __real_napi_create_external_arraybuffer(env, data, size, finalize, hint, result);
}
}
