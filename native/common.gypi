{
  # What every gyp build of native code shares: the flags, and the files that are made for the build.
  "target_defaults": {
    # A folder that scripts/crypto/build.sh has made, for prebuilds: their OpenSSL, and for x64 the SHA-256 of libipsec-mb. Empty: Node's own
    # OpenSSL alone. The compiler's command names its headers (scripts/prebuild/own-crypto.mjs), since gyp would put them behind Node's.
    "variables": { "own_crypto": "<!(node -p \"process.env.MODEL_GUARD_CRYPTO || ''\")" },
    "include_dirs": ["core", ".", "<(SHARED_INTERMEDIATE_DIR)", "<!(node -p \"require('node-addon-api').include_dir\")"],
    # The last: an exception that meets a worker being terminated cannot reach any caller, and must not end the process.
    "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_CPP_EXCEPTIONS_ALL", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
    "cflags_cc": ["-std=c++17", "-fexceptions", "-O2", "-Wall", "-Wextra", "-Wno-cast-function-type",
                  "-fvisibility=hidden", "-fvisibility-inlines-hidden"],
    "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++20", "-std=gnu++17"],
    "actions": [{
      "action_name": "bake_salts",
      "inputs": ["salts/bake.mjs"],
      # The second is never made, so that the step runs in every build: MODEL_GUARD_SALTS or its file may have changed. The first
      # changes only with the salts.
      "outputs": ["<(SHARED_INTERMEDIATE_DIR)/salts/baked.inc", "<(SHARED_INTERMEDIATE_DIR)/salts/never"],
      "action": ["node", "<@(_inputs)", "<(SHARED_INTERMEDIATE_DIR)/salts/baked.inc"],
      "message": "Salts"
    }, {
      "action_name": "list_recipient_kinds",
      "inputs": ["core/recipients/list-kinds.mjs"],
      # The second is never made, so that the step runs in every build: a kind may have been added.
      "outputs": ["<(SHARED_INTERMEDIATE_DIR)/recipients/kinds.inc", "<(SHARED_INTERMEDIATE_DIR)/recipients/never"],
      "action": ["node", "<@(_inputs)", "<(SHARED_INTERMEDIATE_DIR)/recipients/kinds.inc"],
      "message": "Kinds of recipients"
    }],
    "conditions": [
      # The code stays loaded when a worker ends: threads that end later still run OpenSSL's handlers.
      ["own_crypto!=''", {
        "defines": ["MG_OWN_CRYPTO"],
        "cflags": ["-ffunction-sections", "-fdata-sections"],
        "libraries": ["<(own_crypto)/lib/libcrypto.a"],
        "ldflags": ["-Wl,--gc-sections", "-Wl,-z,nodelete", "-static-libstdc++", "-static-libgcc"]
      }],
      ["own_crypto!='' and target_arch=='x64'", {
        "defines": ["MG_IPSEC_MB"],
        "libraries": ["<(own_crypto)/lib/libipsec-mb-sha256.a"]
      }],
      # No -lcrypto: the node binary exports its own OpenSSL, which is patched with Node. -ldl: a TPM's library, where there is one.
      ["OS=='linux'", {
        "ldflags": ["-Wl,--exclude-libs,ALL", "-Wl,-z,relro,-z,now", "-pthread"],
        "libraries": ["-ldl"]
      }],
      ["OS=='mac'", {
        "xcode_settings": {
          "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
          "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
          "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
          "GCC_INLINES_ARE_PRIVATE_EXTERN": "YES",
          "MACOSX_DEPLOYMENT_TARGET": "11.0"
        }
      }]
    ]
  }
}
