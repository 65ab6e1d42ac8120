{
  # What npm and prebuildify build. The sources are listed once, in native/sources.txt; CMakeLists.txt reads the same list.
  "includes": ["native/common.gypi"],
  "targets": [
    {
      "target_name": "model_guard",
      "sources": ["<!@(node -p \"require('fs').readFileSync('native/sources.txt', 'utf8').trim().split('\\n').join(' ')\")"],
      "include_dirs": ["native/addon"],
      "conditions": [["OS=='linux'", { "ldflags": ["-Wl,--version-script=<(module_root_dir)/native/addon/exports.map"] }]],
      "configurations": { "Release": { "conditions": [["OS=='linux'", { "ldflags": ["-s"] }]] } }
    }
  ]
}
