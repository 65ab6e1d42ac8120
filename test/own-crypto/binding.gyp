{
  # The core's primitives for the third-party vectors, over the OpenSSL of the prebuilds. Never part of the package.
  "includes": ["../../native/common.gypi"],
  "targets": [
    {
      "target_name": "vectors",
      "sources": [
        "../addon/vectors.cc",
        "<!@(node -p \"require('fs').readFileSync('../../native/sources.txt', 'utf8').trim().split('\\n').filter(f => !f.startsWith('native/addon/')).map(f => '../../' + f).join(' ')\")"
      ]
    }
  ]
}
