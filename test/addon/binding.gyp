{
  # The core's primitives for the third-party vectors, over the OpenSSL that node exports. Never part of the package.
  "targets": [
    {
      "target_name": "vectors",
      "sources": [
        "vectors.cc",
        "<!@(node -p \"require('fs').readFileSync('../../native/sources.txt', 'utf8').trim().split('\\n').filter(f => f.startsWith('native/core/')).map(f => '../../' + f).join(' ')\")"
      ],
      "include_dirs": ["../../native/core", "<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8"],
      "cflags_cc": ["-std=c++17", "-fexceptions", "-O1", "-Wall", "-Wextra", "-Wno-cast-function-type", "-fvisibility=hidden"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++20", "-std=gnu++17"],
      "conditions": [["OS=='mac'", { "xcode_settings": { "GCC_ENABLE_CPP_EXCEPTIONS": "YES", "CLANG_CXX_LANGUAGE_STANDARD": "c++17" } }]]
    }
  ]
}
