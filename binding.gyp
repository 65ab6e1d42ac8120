{
  # What npm and prebuildify build. The sources are listed once, in native/sources.txt; CMakeLists.txt reads the same list.
  "targets": [
    {
      "target_name": "model_guard",
      "sources": ["<!@(node -p \"require('fs').readFileSync('native/sources.txt', 'utf8').trim().split('\\n').join(' ')\")"],
      "include_dirs": ["native/core", "native/addon", "<!(node -p \"require('node-addon-api').include_dir\")"],
      # The last: an exception that meets a worker being terminated cannot be thrown to anyone, and must not end the process.
      "defines": ["NAPI_VERSION=8", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      # No -lcrypto: the node binary exports its own OpenSSL, which is patched with Node.
      "cflags_cc": ["-std=c++17", "-fexceptions", "-O2", "-Wall", "-Wextra", "-Wno-cast-function-type", "-fvisibility=hidden"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++20", "-std=gnu++17"],
      "conditions": [
        ["OS=='linux'", { "ldflags": ["-Wl,--exclude-libs,ALL", "-Wl,-z,relro,-z,now", "-pthread"] }],
        ["OS=='mac'", {
          "xcode_settings": {
            "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
            "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
            "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
            "MACOSX_DEPLOYMENT_TARGET": "11.0"
          }
        }]
      ]
    }
  ]
}
