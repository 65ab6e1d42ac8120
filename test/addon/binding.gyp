{
  # The core's primitives for the third-party vectors, over the OpenSSL that node exports. Never part of the package.
  "includes": ["../../native/common.gypi"],
  "targets": [
    {
      "target_name": "vectors",
      "sources": [
        "vectors.cc",
        "<!@(node -p \"require('fs').readFileSync('../../native/sources.txt', 'utf8').trim().split('\\n').filter(f => !f.startsWith('native/addon/')).map(f => '../../' + f).join(' ')\")"
      ],
      "cflags_cc!": ["-O2"],
      "cflags_cc": ["-O1"]
    }
  ]
}
