{
  # The whole addon, able to look at a recorded machine instead of this one (MODEL_GUARD_TEST_MACHINE), and to work as in Electron
  # (MODEL_GUARD_TEST_CAGE). Never part of the package.
  "includes": ["../../native/common.gypi"],
  "targets": [
    {
      "target_name": "model_guard",
      "sources": ["cage.cc", "<!@(node -p \"require('fs').readFileSync('../../native/sources.txt', 'utf8').trim().split('\\n').map(f => '../../' + f).join(' ')\")"],
      "include_dirs": ["../../native/addon"],
      "ldflags": ["-Wl,--wrap=napi_create_external_arraybuffer"],
      "defines": ["MG_TEST_MACHINE"],
      "cflags_cc!": ["-O2"],
      "cflags_cc": ["-O1"]
    }
  ]
}
