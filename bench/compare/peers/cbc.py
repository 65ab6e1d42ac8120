"""Decrypts IV + AES-256-CBC with PKCS7 into memory, as a loader in Python would, and prints {"seconds": S, "peak": BYTES}.

    python3 cbc.py KEY_FILE FILE
"""
import json
import resource
import sys
import time

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

with open(sys.argv[1], "rb") as file:
    key = file.read()
started = time.monotonic()
with open(sys.argv[2], "rb") as file:
    sealed = file.read()
decryptor = Cipher(algorithms.AES(key), modes.CBC(sealed[:16])).decryptor()
padded = decryptor.update(memoryview(sealed)[16:]) + decryptor.finalize()
unpadder = padding.PKCS7(128).unpadder()
plain = unpadder.update(padded) + unpadder.finalize()
seconds = time.monotonic() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "peak": peak}))
