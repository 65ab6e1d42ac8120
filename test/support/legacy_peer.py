"""The scheme of docs/legacy.md by another hand: Python's `cryptography` from Debian. One JSON request a line, one answer a line."""
import base64
import hashlib
import json
import os
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7


def cipher(key: bytes, iv: bytes) -> Cipher:
    return Cipher(algorithms.AES(hashlib.sha256(key).digest()), modes.CBC(iv))


def encrypt(key: bytes, plain: bytes) -> bytes:
    iv, padder = os.urandom(16), PKCS7(128).padder()
    encryptor = cipher(key, iv).encryptor()
    return iv + encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()


def decrypt(key: bytes, artifact: bytes) -> bytes:
    decryptor, unpadder = cipher(key, artifact[:16]).decryptor(), PKCS7(128).unpadder()
    padded = decryptor.update(artifact[16:]) + decryptor.finalize()
    return unpadder.update(padded) + unpadder.finalize()


print("ready", flush=True)
for line in sys.stdin:
    request = json.loads(line)
    key, data = (base64.b64decode(request[name]) for name in ("key", "data"))
    done = {"encrypt": encrypt, "decrypt": decrypt}[request["do"]](key, data)
    print(base64.b64encode(done).decode(), flush=True)
