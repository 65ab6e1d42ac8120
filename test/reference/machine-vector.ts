/**
 * One machine file and one sealed device key, made by a third implementation (Python: hashlib, hmac, cryptography) with the SHA-256 of
 * labels in place of random numbers. Both implementations open them, now and in every later version.
 */

/** Default pepper. The drive is required and weighs 2, the others 1; 3 open. */
export const VALUES = {
  cpu: 'Intel(R) Xeon(R) E-2388G CPU @ 3.20GHz',
  memory: '65536 MiB',
  drive: 'S5Y1NJ0R900417',
} as const;

export const MACHINE_FILE = `{"box":"546Eu3G9Pncd0gnpRLtZAhXaLCTMg7UliwqHNp2R22mBgE9yykUICiUEoJ5Cqnfl","checksum":"c2b2b440b1b7c4f9","helper":"5_dnKzy_cTgtVWVqIY00RfARDU2tQatWcgfVhE47jKNAtFdnVymRvwMDAQAB0VK0ie5dflEnVVxI6ae13vtKfOhxT5STyDfwpbzyJsDdFU0H_0GvfJcZOSCMGeejAwAB91hHmK8C-Vivmm5FYVE1lCUol2RssGyH1dohUHROajW1fkPcTciZ2uWdrc2k-GugBAECeSEwWNFPROotyQSsYYvEtlOoBZ7gEE6iMfekO62PhpRss5rPIEFLUJcxtQUoSvuwsIZnZ3_eaGVNw45B-icuFpHpcfV7qkD7xCo-15Zs9KYAAA","publicKey":"mgx1:bUVFhSCCZrTSwa18-SCKIcmos_OQS0bQyKIRvwZ81Qo","version":1}\n`;
/** S: SHA-256("machine file S"). */
export const SECRET = 'bac66084667d4e8bd6337bb5a312292966a64ebeade9c9dc2b59be484153bd49';

/** Any two of the three open it. */
export const SEALED_KEY = `model-guard-key v1 device sealed\n5_dnKzy_cTiQbruEDHkOwTCFhs2MeGt60sKMPrvOYZ9dcBJi68uAHAIDAQABYE9gulLekA4R1StS3d0f4rKJlohdwY1YEB25xnHrjWD_R_w0tdr_xly47VzC5G-aAwABZOuu9-3nLlLYGQ8rJD3sdU0yraISGjwl2D3p58k_m3-Ibrjj1jGzaRTLoYfY1RTqBAAB4ravtTiCmMvWs4QbiwzwLmT3y_cO0seAIo-ScB6cH3rr720WG64CCJRcVVlpY0SKAAD-Xbj00IKuhlI7aFmWeFRCw8rnLfiSyjZXmuHcQL8tgrP-tMKg8QBQrx_py1qyb_5ftWHW8vRrf1cf4ynHKcubLAcKQVxIXtfOGPjfvF_OifEOnvobRPFoNZYGHDpd7mTNPcRxI3ihCb-wo-dV41V-lRn4OPzrJV8xpNn4sMvJhA\n`;
/** SHA-256("device X25519") ‖ SHA-256("device Ed25519"). */
export const DEVICE_KEY =
  '6ad894577a2b1fb0df9598703f44223809cdd09845fd2bb28af1346bb686f3456fc64451d6ddd49c9e4552f5a537ada2625a9c4fa34bc810308aa0128f931280';
