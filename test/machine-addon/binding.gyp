{
  # The whole addon, able to look at a recorded machine instead of this one (MODEL_GUARD_TEST_MACHINE). Never part of the package.
  "includes": ["../../native/common.gypi"],
  "targets": [
    {
      "target_name": "model_guard",
      "sources": ["<!@(node -p \"require('fs').readFileSync('../../native/sources.txt', 'utf8').trim().split('\\n').map(f => '../../' + f).join(' ')\")"],
      "include_dirs": ["../../native/addon"],
      "defines": ["MG_TEST_MACHINE"],
      "cflags_cc!": ["-O2"],
      "cflags_cc": ["-O1"]
    }
  ]
}
