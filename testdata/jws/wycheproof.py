#!/usr/bin/env python3
"""Writes wycheproof.json: for each case of Wycheproof's JWS, JWK and JWE files a vector of our own.

    python3 testdata/jws/wycheproof.py > testdata/jws/wycheproof.json

The classes of cases and their numbers are those of C2SP/wycheproof, testvectors_v1 (version 0.3 of json_web_signature,
json_web_key and json_web_crypto); keys, payloads and bytes are ours. Standard library only, and the same output on every
run: keys and nonces come from a hash, so none of these keys may ever be used for anything else.
"""
import base64
import hashlib
import hmac
import json
import math

ISSUER, AUDIENCE, NOW = "https://issuer.test", "https://broker.test", 1795435200  # 2026-11-23T12:00:00Z


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def num(value, length=None):
    return b64(value.to_bytes(length or max(1, (value.bit_length() + 7) // 8), "big"))


def stream(label, length):
    out, counter = b"", 0
    while len(out) < length:
        out += hashlib.sha256(f"valetkey {label} {counter}".encode()).digest()
        counter += 1
    return out[:length]


def integer(label, bits):
    return int.from_bytes(stream(label, (bits + 7) // 8), "big") >> (-bits % 8)


SMALL = [p for p in range(2, 2000) if all(p % q for q in range(2, int(p**0.5) + 1))]


def is_prime(n):
    if any(n % p == 0 for p in SMALL):
        return n in SMALL
    d, r = n - 1, 0
    while d % 2 == 0:
        d, r = d // 2, r + 1
    for base in SMALL[:24]:
        x = pow(base, d, n)
        if x in (1, n - 1):
            continue
        for _ in range(r - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


# --- RSA ---------------------------------------------------------------------------------------------------------------


class Rsa:
    def __init__(self, p, q, e=65537):
        self.n, self.e = p * q, e
        self.d = pow(e, -1, (p - 1) * (q - 1)) if e > 1 else 1
        self.size = (self.n.bit_length() + 7) // 8

    def raw(self, em):
        return pow(int.from_bytes(em, "big"), self.d, self.n).to_bytes(self.size, "big")

    def jwk(self, **members):
        return {"kty": "RSA", "n": num(self.n), "e": num(self.e), **members}


def rsa(label, bits=2048, e=65537):
    def prime(part):
        candidate = integer(f"{label} {part}", bits // 2) | 3 << (bits // 2 - 2) | 1
        while not is_prime(candidate) or (e > 1 and (candidate - 1) % e == 0):
            candidate += 2
        return candidate

    return Rsa(prime("p"), prime("q"), e)


def roca():
    """A key of the form that CVE-2017-15361 describes: each prime is k * M + (65537 ** a mod M)."""
    m = math.prod(SMALL[:126])

    def prime(part):
        k = (3 << 1022) // m + integer(f"roca {part} k", 40)
        a = integer(f"roca {part} a", 64)
        while not is_prime(k * m + pow(65537, a, m)):
            a += 1
        return k * m + pow(65537, a, m)

    return Rsa(prime("p"), prime("q"))


# --- ECDSA -------------------------------------------------------------------------------------------------------------


class Curve:
    def __init__(self, crv, p, n, x, y):
        self.crv, self.p, self.n, self.g = crv, p, n, (x, y)
        self.length = (p.bit_length() + 7) // 8

    def add(self, one, two):
        if one is None or two is None:
            return one or two
        if one[0] == two[0]:
            if (one[1] + two[1]) % self.p == 0:
                return None
            slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, self.p)
        else:
            slope = (two[1] - one[1]) * pow(two[0] - one[0], -1, self.p)
        x = (slope * slope - one[0] - two[0]) % self.p
        return x, (slope * (one[0] - x) - one[1]) % self.p

    def times(self, k, point):
        out = None
        while k:
            if k & 1:
                out = self.add(out, point)
            point, k = self.add(point, point), k >> 1
        return out


P256 = Curve(
    "P-256",
    2**256 - 2**224 + 2**192 + 2**96 - 1,
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
P521 = Curve(
    "P-521",
    2**521 - 1,
    2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
    int(
        "00C6858E06B70404E9CD9E3ECB662395B4429C648139053FB521F828AF606B4D3DBAA14B5E77EFE75928FE1DC127A2FFA8DE3348B3C1856A"
        "429BF97E7E31C2E5BD66",
        16,
    ),
    int(
        "011839296A789A3BC0045C8A5FB42C7D1BD998F54449579B446817AFBD17273E662C97EE72995EF42640C550B9013FAD0761353C7086A272"
        "C24088BE94769FD16650",
        16,
    ),
)


class Ec:
    def __init__(self, label, curve=P256):
        self.curve = curve
        self.d = integer(f"{label} d", curve.n.bit_length() + 64) % (curve.n - 1) + 1
        self.x, self.y = curve.times(self.d, curve.g)

    def jwk(self, **members):
        size = self.curve.length
        return {"kty": "EC", "crv": self.curve.crv, "x": num(self.x, size), "y": num(self.y, size), **members}

    def numbers(self, data, digest="sha256"):
        z = int.from_bytes(hashlib.new(digest, data).digest(), "big")
        k = int.from_bytes(hashlib.sha512(b"nonce %d " % self.d + data).digest() * 2, "big") % (self.curve.n - 1) + 1
        r = self.curve.times(k, self.curve.g)[0] % self.curve.n
        return r, pow(k, -1, self.curve.n) * (z + r * self.d) % self.curve.n

    def sign(self, data, digest="sha256"):
        size = self.curve.length
        return b"".join(v.to_bytes(size, "big") for v in self.numbers(data, digest))


# --- DER of a DigestInfo, and everything that can be wrong with it -----------------------------------------------------


def tlv(tag, content):
    assert len(content) < 128
    return bytes([tag, len(content)]) + content


SEQUENCE, OID, NULL, OCTETS = 0x30, 0x06, 0x05, 0x04
SHA256 = bytes.fromhex("608648016503040201")


def element_changes(tag, content):
    """Changes of one element: pairs of a name and what stands in its place."""
    n, t = len(content), bytes([tag])

    def framed(length):
        return t + bytes.fromhex(length) + content

    def holding(new):
        return tlv(tag, new)

    whole = tlv(tag, content)
    changes = [
        ("length in long form", framed("81%02x" % n)),
        ("length with a leading 0", framed("8200%02x" % n)),
        ("length one more", framed("%02x" % (n + 1))),
        ("length one less", framed("%02x" % ((n - 1) & 0xFF))),
        ("length overflows 32 bits", framed("8501000000%02x" % n)),
        ("length overflows 64 bits", framed("890100000000000000%02x" % n)),
        ("length 2^31 - 1", framed("847fffffff")),
        ("length 2^31", framed("8480000000")),
        ("length 2^32 - 1", framed("84ffffffff")),
        ("length 2^40 - 1", framed("85ffffffffff")),
        ("length 2^64 - 1", framed("88ffffffffffffffff")),
        ("length incorrect", framed("ff")),
        ("indefinite length without end", framed("80")),
        ("tag alone", t),
        ("zeros appended", holding(content + b"\0\0")),
        ("zeros prepended", holding(b"\0\0" + content)),
        ("unused zeros appended", whole + b"\0\0"),
        ("NULL appended inside", holding(content + b"\5\0")),
        ("garbage prepended 1", holding(b"\x49\x81\x77" + content)),
        ("garbage prepended 2", holding(b"\x25\x00" + content)),
        ("garbage appended", holding(content + b"\x00\x04\xde\xad\xbe\xef")),
        ("undefined tags before", bytes.fromhex("aa00bb00cd00") + whole),
        ("length cut off", t + b"\x81"),
        ("undefined tags inside", holding(bytes.fromhex("aa02aabb") + content)),
        ("composed with indefinite length", bytes([tag | 0x20, 0x80]) + whole + b"\0\0"),
        ("composed with a wrong tag", bytes([tag | 0x20, 0x80]) + tlv(0x31, content) + b"\0\0"),
    ]
    if tag != NULL:
        changes.append(("replaced by NULL", b"\5\0"))
    for other in (0x2E, 0x2F, 0x31, 0x32, 0xFF):
        changes.append((f"tag {other:02x}", bytes([other]) + whole[1:]))
    if content:
        changes += [
            ("value dropped", t + b"\0"),
            ("composed of parts", tlv(tag | 0x20, tlv(tag, content[:1]) + tlv(tag, content[1:]))),
            ("first byte changed", holding(bytes([content[0] ^ 1]) + content[1:])),
            ("last byte changed", holding(content[:-1] + bytes([content[-1] ^ 1]))),
            ("cut at the end", holding(content[:-1])),
            ("cut at the beginning", holding(content[1:])),
        ]
    return changes


def sequence_changes(parts):
    content = b"".join(parts)
    inner = tlv(SEQUENCE, content)
    return [
        ("removed", b""),
        ("indefinite length", b"\x30\x80" + content + b"\0\0"),
        ("indefinite length, end cut", b"\x30\x80" + content + b"\0"),
        ("indefinite length, one element more", b"\x30\x80" + content + b"\5\0\0\0"),
        ("indefinite length, element cut", b"\x30\x80" + content + b"\x06\x08\x11"),
        ("indefinite length, garbage", b"\x30\x80" + content + b"\0\0\xfe\0"),
        ("indefinite length, end with content", b"\x30\x80" + content + b"\0\2\xbe\xef"),
        ("empty sequence prepended", tlv(SEQUENCE, b"\x30\x00" + content)),
        ("empty sequence appended", tlv(SEQUENCE, content + b"\x30\x00")),
        ("zero appended", tlv(SEQUENCE, content + b"\0\0\0")),
        ("high tag number appended", tlv(SEQUENCE, content + b"\xbf\x7f\x00")),
        ("NULL with explicit tag appended", tlv(SEQUENCE, content + b"\xa0\x02\5\0")),
        ("NULL with implicit tag appended", tlv(SEQUENCE, content + b"\xa0\x00")),
        ("sequence of a sequence", tlv(SEQUENCE, inner)),
        ("last element repeated", tlv(SEQUENCE, content + parts[-1])),
    ]


def oid_changes():
    def oid(text):
        return tlv(OID, bytes.fromhex(text))

    return [
        ("removed", b""),
        ("of SHA-1", oid("2b0e03021a")),
        ("longer", oid("60864801650304020101")),
        ("node changed", oid("708648016503040201")),
        ("node huge", oid("608648016503040288808081")),
        ("large integer", oid("608648016503040282808080808080808001")),
        ("last node not ended", oid("6086480165030402e0")),
        ("node with a leading 80", oid("60808648016503040201")),
    ]


def digest_infos(data):
    """(class, change, DigestInfo) for every change of every element."""
    digest = hashlib.sha256(data).digest()
    oid, null, octets = tlv(OID, SHA256), tlv(NULL, b""), tlv(OCTETS, digest)
    algorithm = tlv(SEQUENCE, oid + null)
    places = [
        (
            "sequence",
            SEQUENCE,
            algorithm + octets,
            # Not without NULL in the algorithm, which RFC 8017 appendix B.1 lets a verifier accept.
            sequence_changes([algorithm, octets]) + [("last element removed", tlv(SEQUENCE, algorithm))],
            lambda x: x,
        ),
        ("algorithm", SEQUENCE, oid + null, sequence_changes([oid, null]), lambda x: tlv(SEQUENCE, x + octets)),
        ("oid", OID, SHA256, oid_changes(), lambda x: tlv(SEQUENCE, tlv(SEQUENCE, x + null) + octets)),
        (
            "null",
            NULL,
            b"",
            [("composed", b"\x25\x00"), ("incorrect", b"\5\1\0")],
            lambda x: tlv(SEQUENCE, tlv(SEQUENCE, oid + x) + octets),
        ),
        ("octets", OCTETS, digest, [("removed", b"")], lambda x: tlv(SEQUENCE, algorithm + x)),
    ]
    for name, tag, content, special, around in places:
        for change, der in element_changes(tag, content) + special:
            yield name, change, around(der)


def pkcs1(info, size):
    return b"\x00\x01" + b"\xff" * (size - len(info) - 3) + b"\x00" + info


def digest_info(digest, data):
    oid = {"sha256": "01", "sha384": "02", "sha512": "03"}[digest]
    algorithm = tlv(SEQUENCE, tlv(OID, SHA256[:-1] + bytes.fromhex(oid)) + b"\5\0")
    return tlv(SEQUENCE, algorithm + tlv(OCTETS, hashlib.new(digest, data).digest()))


# --- PSS ---------------------------------------------------------------------------------------------------------------


def mgf(seed, length, digest):
    out = b"".join(hashlib.new(digest, seed + c.to_bytes(4, "big")).digest() for c in range(length // 32 + 1))
    return out[:length]


def pss(data, key, digest="sha256", salt=None, of_hash=None, of_padding=None, of_db=None, of_em=None):
    """EMSA-PSS (RFC 8017 section 9.1.1), with a hook at each of its steps."""
    h = hashlib.new(digest, data).digest()
    salt = stream("salt", len(h)) if salt is None else salt
    hashed = hashlib.new(digest, b"\0" * 8 + h + salt).digest()
    hashed = of_hash(hashed) if of_hash else hashed
    padding = b"\0" * (key.size - len(salt) - len(h) - 2)
    db = (of_padding(padding) if of_padding else padding) + b"\1" + salt
    if len(db) > key.size - len(h) - 1:
        db = db[-(key.size - len(h) - 1):]
    db = bytes(a ^ b for a, b in zip(db, mgf(hashed, len(db), digest)))
    db = bytes([db[0] & 0x7F]) + db[1:]
    em = (of_db(db) if of_db else db) + hashed + b"\xbc"
    em = of_em(em) if of_em else em
    return key.raw(bytes([em[0] & 0x7F]) + em[1:])


def flip(at, mask=1):
    def change(data):
        data = bytearray(data)
        data[at] ^= mask
        return bytes(data)

    return change


# --- vectors -----------------------------------------------------------------------------------------------------------

CLAIMS = json.dumps(
    {"iss": ISSUER, "sub": "workload", "aud": [AUDIENCE], "iat": NOW - 10, "exp": NOW + 600}, separators=(",", ":")
).encode()
VECTORS = []


def vector(id, cases, comment, jws, keys, algorithms, result="invalid", accepted=None, signature=None, why=None):
    entry = {"id": id, "wycheproof": cases.split(), "comment": comment, "result": result}
    entry["accepted"] = (result == "valid") if accepted is None else accepted
    entry["signature"] = entry["accepted"] if signature is None else signature
    if why:
        entry["why"] = why
    VECTORS.append(entry | {"algorithms": algorithms, "keys": keys, "jws": jws})


def head(**members):
    return b64(json.dumps(members, separators=(",", ":")).encode())


def signing_input(header, payload=CLAIMS):
    return header + "." + b64(payload)


def signed(sign, header, payload=CLAIMS):
    text = signing_input(header, payload)
    return text + "." + b64(sign(text.encode()))


def structure(name, jws_cases, crypto_cases, alg, kid, sign, keys, mac=False):
    """The thirteen cases that Wycheproof has for each algorithm, and what only some of them have."""
    header = head(alg=alg, kid=kid)
    good = signed(sign, header)
    h, p, s = good.split(".")
    other = ("A" if s[0] != "A" else "B") + s[1:]
    changed = b64(CLAIMS.replace(b"workload", b"Workload"))
    cases = [
        ("valid", good),
        ("signature changed", f"{h}.{p}.{other}"),
        ("signature missing", f"{h}.{p}."),
        ("signature and separator missing", f"{h}.{p}"),
        ("payload changed", f"{h}.{changed}.{s}"),
        ("payload missing", f"{h}..{s}"),
        ("payload and separator missing", f"{h}.{s}"),
        ("header changed", f"{head(alg=alg, kid='X' + kid[1:])}.{p}.{s}"),
        ("header missing", f".{p}.{s}"),
        ("header and separator missing", f"{p}.{s}"),
        ("header and signature missing", f".{p}."),
        ("header, signature and separators missing", p),
        ("empty", ""),
    ]
    first = int(jws_cases)
    for i, (comment, jws) in enumerate(cases):
        valid = i == 0
        vector(
            f"{name}-{comment.replace(',', '').replace(' ', '-')}",
            f"jws:{first + i} crypto:{int(crypto_cases) + i}",
            comment,
            jws,
            keys,
            [alg],
            "valid" if valid else "invalid",
            accepted=valid and not mac,
            why="a MAC: whoever can check one can make one" if valid and mac else None,
        )
    return good


def mac(key, digest="sha256"):
    return lambda data: hmac.new(key, data, digest).digest()


def oct_key(key, **members):
    return {"kty": "oct", "k": b64(key), **members}


NO_MAC = "a MAC: whoever can check one can make one"
NO_CLAIMS = "the signature is right, the payload is not claims"


def macs():
    key = stream("hs256", 32)
    keys = [oct_key(key, alg="HS256", use="sig", kid="mac")]
    good = structure("hs256", "1", "1", "HS256", "mac", mac(key), keys, mac=True)
    h, p, s = good.split(".")
    for case, comment, jws in [
        (14, "one empty part more", good + "."),
        (15, "one part more", good + ".foo"),
        (16, "alg none, signature missing", signing_input(head(alg="none", kid="mac")) + "."),
        (17, "JSON serialization", serialized(h, p, s)),
    ]:
        vector(f"hs256-{case}", f"jws:{case} crypto:{case}", comment, jws, keys, ["HS256"])
    # The same four where they could do harm: with a signature.
    ec = Ec("structure")
    keys = [ec.jwk(alg="ES256", use="sig", kid="ec-sign")]
    good = signed(ec.sign, head(alg="ES256", kid="ec-sign"))
    h, p, s = good.split(".")
    for case, comment, jws in [
        (14, "one empty part more", good + "."),
        (15, "one part more", good + ".foo"),
        (16, "alg none, signature missing", signing_input(head(alg="none", kid="ec-sign")) + "."),
        (17, "JSON serialization", serialized(h, p, s)),
    ]:
        vector(f"es256-{case}", f"jws:{case} crypto:{case}", comment, jws, keys, ["ES256"])


def serialized(h, p, s):
    signature = {"protected": h, "header": {"unknown": "untrustworthy"}, "signature": s}
    return json.dumps({"payload": p, "signatures": [signature]}, separators=(",", ":"))


def es256():
    ec, attacker = Ec("structure"), Ec("attacker")
    keys = [ec.jwk(alg="ES256", use="sig", kid="ec-sign")]
    structure("es256", "18", "18", "ES256", "ec-sign", ec.sign, keys)
    size = ec.curve.length
    point = b"\4" + ec.x.to_bytes(size, "big") + ec.y.to_bytes(size, "big")
    confused = signed(mac(point), head(alg="HS256", kid="ec-sign"))
    for algorithms in (["ES256"], ["ES256", "HS256"]):
        vector(
            "es256-hmac-with-the-public-key" + ("" if len(algorithms) == 1 else "-although-hs256-is-allowed"),
            "jws:31 crypto:31",
            "HMAC with the public key's bytes",
            confused,
            keys,
            algorithms,
        )
    embedded = head(alg="ES256", kid="ec-sign", jwk=attacker.jwk(alg="ES256", use="sig", kid="ec-sign"))
    vector(
        "es256-embedded-key", "jws:32 crypto:32", "key of the attacker in the header",
        signed(attacker.sign, embedded), keys, ["ES256"],
    )


def rs256():
    key = rsa("rs256")
    keys = [key.jwk(alg="RS256", use="sig", kid="rsa-sign")]

    def sign(data):
        return key.raw(pkcs1(digest_info("sha256", data), key.size))

    structure("rs256", "33", "33", "RS256", "rsa-sign", sign, keys)
    header = head(alg="RS256", kid="rsa-sign")
    text = signing_input(header)
    cases = {"sequence": "46-97", "algorithm": "98-147", "oid": "148-193", "null": "194-221", "octets": "222-258"}
    count = {}
    for name, change, info in digest_infos(text.encode()):
        count[name] = count.get(name, 0) + 1
        vector(
            f"rs256-padding-{name}-{count[name]:02d}", f"jws:{cases[name]}", f"{name}: {change}",
            text + "." + b64(key.raw(pkcs1(info, key.size))), keys, ["RS256"],
        )


def payloads():
    """Signatures that are right, over payloads that no identity token has."""
    for digest, alg, first, pss_first in (
        ("sha256", "RS256", 259, 272), ("sha384", "RS384", 264, 320), ("sha512", "RS512", 268, 325),
    ):
        key = rsa(alg.lower())
        for family, start in (("RS", first), ("PS", pss_first)):
            name = family + alg[2:]
            keys = [key.jwk(alg=name, use="sig", kid=name)]

            def sign(data, family=family):
                if family == "PS":
                    return pss(data, key, digest)
                return key.raw(pkcs1(digest_info(digest, data), key.size))

            texts = [("empty", b""), ("all-zero", b"\0" * 20), ("one-byte", b"a")]
            texts += [("text", b"Test")] if name == "RS256" else []
            texts += [("bytes", bytes(range(224, 256)))]
            for i, (comment, payload) in enumerate(texts):
                vector(
                    f"{name.lower()}-payload-{comment}", f"jws:{start + i}", f"payload: {comment}",
                    signed(sign, head(alg=name, kid=name), payload), keys, [name], "valid",
                    accepted=False, signature=payload != b"", why=NO_CLAIMS if payload else "the payload is empty",
                )
            vector(
                f"{name.lower()}-claims", f"jws:{start}", "payload: claims",
                signed(sign, head(alg=name, kid=name)), keys, [name], "valid",
            )


def ps256():
    key = rsa("rs256")
    keys = [key.jwk(alg="PS256", use="sig", kid="PS256")]
    header = head(alg="PS256", kid="PS256")
    data = signing_input(header).encode()

    def add(id, cases, comment, signature, result="invalid"):
        vector(f"ps256-{id}", cases, comment, data.decode() + "." + b64(signature), keys, ["PS256"], result)

    for i, change in enumerate((flip(0), flip(0, 0x80), flip(1), flip(15))):
        add(f"hash-changed-{i + 1}", f"jws:{276 + i}", "hash changed", pss(data, key, of_hash=change))
    add("hash-last-byte", "jws:280", "last byte of the hash changed", pss(data, key, of_hash=flip(-1)))
    for i, length in enumerate((0, 1, 20, 31, 33, key.size - 34)):
        add(f"salt-{length}-bytes", f"jws:{281 + i}", "length of the salt", pss(data, key, salt=stream("salt", length)))
    add("salt-zeros", "jws:287", "salt all zero", pss(data, key, salt=b"\0" * 32), "valid")
    add("salt-ones", "jws:288", "salt all ones", pss(data, key, salt=b"\xff" * 32), "valid")
    for i, change in enumerate((flip(1), flip(100), flip(-1))):
        add(f"padding-changed-{i + 1}", f"jws:{289 + i}", "zeros changed", pss(data, key, of_padding=change))
    for i in range(8):
        other = hashlib.new(("md5", "sha1", "sha224", "sha384", "sha512", "sha256")[i % 6], data + bytes([i])).digest()

        def replace(h, other=other):
            return (other + h)[:32]

        add(f"hash-replaced-{i + 1}", f"jws:{292 + i}", "another hash", pss(data, key, of_hash=replace))
    for i, change in enumerate((lambda p: b"\1" + p[1:], lambda p: p[:-1] + b"\2", lambda p: p[:9] + b"\xff" + p[10:],
                                lambda p: b"\x7f" + p[1:], lambda p: b"\xff" * len(p), lambda p: p[:-2] + b"\1\0")):
        add(f"padding-string-{i + 1}", f"jws:{300 + i}", "padding string changed", pss(data, key, of_padding=change))
    for i, change in enumerate((flip(-1), flip(-32))):
        add(f"salt-changed-{i + 1}", f"jws:{306 + i}", "salt changed after hashing", pss(data, key, of_db=change))
    add("masked-db-changed", "jws:308", "masked DB changed", pss(data, key, of_db=flip(50)))
    for i, change in enumerate((lambda e: e[:-1] + b"\xbb", lambda e: e[:-1] + b"\xcc", lambda e: e[:-1] + b"\0")):
        add(f"trailer-{i + 1}", f"jws:{309 + i}", "trailer changed", pss(data, key, of_em=change))
    good = pss(data, key)
    n = key.n
    add("zero", "jws:312", "signature 0", b"\0" * key.size)
    add("one", "jws:313", "signature 1", (1).to_bytes(key.size, "big"))
    add("n-minus-1", "jws:314", "signature n - 1", (n - 1).to_bytes(key.size, "big"))
    add("n", "jws:315", "signature n", n.to_bytes(key.size, "big"))
    serial = 0
    while True:  # one that is small enough for s + n to have the same length
        small = pss(data, key, salt=stream(f"small {serial}", 32))
        serial += 1
        if int.from_bytes(small, "big") + n < 1 << 8 * key.size:
            break
    add("not-reduced", "jws:316", "signature s + n", (int.from_bytes(small, "big") + n).to_bytes(key.size, "big"))
    add("zeros-prepended", "jws:317", "zeros prepended", b"\0\0" + good)
    add("zeros-appended", "jws:318", "zeros appended", good + b"\0\0")
    add("cut", "jws:319", "cut", good[:-2])


def ps_others():
    key = rsa("rs384")
    keys = [key.jwk(alg="PS384", use="sig", kid="PS384")]
    text = signing_input(head(alg="PS384", kid="PS384"))
    changed = pss(text.encode(), key, "sha384", of_hash=flip(0))
    vector("ps384-changed", "jws:324", "signature changed", text + "." + b64(changed), keys, ["PS384"])
    key = rsa("rs512")
    keys = [key.jwk(alg="PS512", use="sig", kid="PS512")]
    text = signing_input(head(alg="PS512", kid="PS512"))
    for case, at in ((329, 0), (330, -1)):
        signature = pss(text.encode(), key, "sha512", of_hash=flip(at))
        vector(f"ps512-hash-{case}", f"jws:{case}", "hash changed", text + "." + b64(signature), keys, ["PS512"])
    case = 331
    for family in ("RS", "PS"):
        for bits in ("256", "384", "512") if family == "RS" else ("256", "384"):
            for named in ("PS512", family + bits):

                def sign(data, family=family, digest="sha" + bits):
                    if family == "PS":
                        return pss(data, key, digest)
                    return key.raw(pkcs1(digest_info(digest, data), key.size))

                jws = signed(sign, head(alg=named, kid="PS512"))
                for algorithms in [["PS512"]] + ([["PS512", named]] if named != "PS512" else []):
                    vector(
                        f"ps512-made-by-{family.lower()}{bits}-named-{named.lower()}" + "-allowed" * (len(algorithms) - 1),
                        f"jws:{case}", f"made by {family}{bits}, header says {named}", jws, keys, algorithms,
                    )
                case += 1
    for i, header in enumerate((dict(alg="none"), dict(alg="NONE"), dict(alg="none", kid="none"),
                                dict(alg="none", kid="PS512"))):
        text = signing_input(head(**header))
        vector(f"none-{i + 1}", f"jws:{341 + i}", "alg none", text + ".", keys, ["PS512"])
        vector(f"none-{i + 1}-with-a-signature", f"jws:{341 + i}", "alg none, with something in the signature's place",
               text + ".AA", keys, ["PS512", header["alg"]])


def rfc7520():
    """The shapes of RFC 7520 sections 4.1 to 4.4, with and without key_ops, by keys of ours."""
    key, wide, secret = rsa("rs256"), Ec("p521", P521), stream("rfc7520 mac", 32)
    kid = "bilbo.baggins@hobbiton.example"

    def rs(data):
        return key.raw(pkcs1(digest_info("sha256", data), key.size))

    for first, name, use in ((345, "use", {"use": "sig"}), (349, "key-ops", {"key_ops": ["verify"]})):
        vector(
            f"rfc7520-rs256-{name}", f"jws:{first}", "RS256", signed(rs, head(alg="RS256", kid=kid)),
            [key.jwk(alg="RS256", kid=kid, **use)], ["RS256"], "valid",
        )
        ps384 = signed(lambda data: pss(data, key, "sha384"), head(alg="PS384", kid=kid))
        vector(
            f"rfc7520-ps384-key-of-ps256-{name}", f"jws:{first + 1}", "PS384 by a key whose alg is PS256", ps384,
            [key.jwk(alg="PS256", kid=kid, **use)], ["PS256", "PS384"], "valid", accepted=False,
            why="the key is for another algorithm (RFC 7517 section 4.4)",
        )
        vector(
            f"rfc7520-ps384-{name}", f"jws:{first + 1}", "PS384", ps384,
            [key.jwk(alg="PS384", kid=kid, **use)], ["PS256", "PS384"], "valid",
        )
        es512 = signed(lambda data: wide.sign(data, "sha512"), head(alg="ES512", kid=kid))
        vector(
            f"rfc7520-es512-key-of-es521-{name}", f"jws:{first + 2}", "ES512 by a key whose alg is misspelled ES521",
            es512, [wide.jwk(alg="ES521", kid=kid, **use)], ["ES512"], "valid", accepted=False,
            why="there is no algorithm ES521",
        )
        vector(
            f"rfc7520-es512-{name}", f"jws:{first + 2}", "ES512", es512,
            [wide.jwk(alg="ES512", kid=kid, **use)], ["ES512"], "valid",
        )
        vector(
            f"rfc7520-hs256-{name}", f"jws:{first + 3}", "HS256",
            signed(mac(secret), head(alg="HS256", kid="hs")),
            [oct_key(secret, alg="HS256", use="sig", kid="hs")], ["HS256"], "valid", accepted=False, why=NO_MAC,
        )
    ec = Ec("structure")
    rs_jws = signed(rs, head(alg="RS256", kid="k"))
    es_jws = signed(ec.sign, head(alg="ES256", kid="k"))
    for case, comment, jws, jwk, alg in (
        (353, "RSA key for encryption", rs_jws, key.jwk(use="enc", kid="k"), "RS256"),
        (354, "EC key for encryption", es_jws, ec.jwk(use="enc", kid="k"), "ES256"),
        (355, "RSA key that may encrypt", rs_jws, key.jwk(key_ops=["encrypt"], kid="k"), "RS256"),
        (356, "EC key that may encrypt", es_jws, ec.jwk(key_ops=["encrypt"], kid="k"), "ES256"),
    ):
        vector(f"use-{case}", f"jws:{case}", comment, jws, [jwk], [alg])


def spellings():
    """Signatures over the very text, so that only the spelling can refuse it."""
    ec = Ec("structure")
    keys = [ec.jwk(alg="ES256", use="sig", kid="k")]
    h, p = head(alg="ES256", kid="k"), b64(CLAIMS)

    def over(text):
        return b64(ec.sign(text.encode()))

    s = over(f"{h}.{p}")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    stray = p[:-1] + letters[letters.index(p[-1]) | 1] if len(p) % 4 else p + "B"
    assert len(p) % 4, "the payload must leave unused bits"
    cases = [
        ("357-359", "valid", f"{h}.{p}.{s}", "valid"),
        ("360", "spaces in the signature", f"{h}.{p}.    {s}", "invalid"),
        ("361", "character before the signature", f"{h}.{p}.?{s}", "invalid"),
        ("362", "character after the signature", f"{h}.{p}.{s}?", "invalid"),
        ("363", "first character replaced", f"{h}.{p}.?{s[1:]}", "invalid"),
        ("364", "characters replaced", f"{h}.{p}.????{s[4:]}", "invalid"),
        ("365", "spaces in the header", f"{h}    .{p}." + over(f"{h}    .{p}"), "invalid"),
        ("366", "characters in the header", f"{h}####.{p}." + over(f"{h}####.{p}"), "invalid"),
        ("367", "padding of the header", f"{h}=.{p}." + over(f"{h}=.{p}"), "invalid"),
        ("368", "spaces in the payload", f"{h}.    {p}." + over(f"{h}.    {p}"), "invalid"),
        ("369", "characters in the payload", f"{h}.####{p}." + over(f"{h}.####{p}"), "invalid"),
        ("370", "padding of the payload", f"{h}.{p}=." + over(f"{h}.{p}="), "invalid"),
        ("371", "character before the payload", f"{h}.?{p}." + over(f"{h}.?{p}"), "invalid"),
        ("372", "character in the header, signature of the text without", f"{h[:-1]}?{h[-1]}.{p}.{s}", "valid"),
        ("373", "character in the payload, signature of the text without", f"{h}.{p}?.{s}", "valid"),
        ("374", "unused bits of the payload", f"{h}.{stray}." + over(f"{h}.{p}"), "invalid"),
        ("375", "unused bits of the payload, signed so", f"{h}.{stray}." + over(f"{h}.{stray}"), "invalid"),
    ]
    for case, comment, jws, result in cases:
        lenient = case in ("372", "373")
        vector(
            f"spelling-{case}", f"jws:{case}", comment, jws, keys, ["ES256"], result,
            accepted=result == "valid" and not lenient,
            why="not base64url: Wycheproof lets a decoder skip the character" if lenient else None,
        )
    for case, text in (("376", '{ "kid" : "k", "alg" : "ES256" }'), ("377", '{"kid":"k",\n\t"alg":"ES256"}')):
        vector(
            f"spelling-{case}", f"jws:{case}", "white space in the header's JSON",
            signed(ec.sign, b64(text.encode())), keys, ["ES256"], "valid",
        )
    vector(
        "spelling-mac", "jws:357-377", "a MAC", signed(mac(b"\0" * 32), head(alg="HS256", kid="k")),
        [oct_key(b"\0" * 32, alg="HS256", use="sig", kid="k")], ["HS256"], "valid", accepted=False, why=NO_MAC,
    )


def es256_special():
    ec = Ec("structure")
    keys = [ec.jwk(alg="ES256", use="sig", kid="k")]
    text = signing_input(head(alg="ES256", kid="k"))
    r, s = ec.numbers(text.encode())
    n = ec.curve.n

    def pair(one, two, length=32):
        return one.to_bytes(length, "big") + two.to_bytes(length, "big")

    cases = [
        (378, "s is n - s, as good as the other", pair(r, n - s), "valid"),
        (379, "too long", pair(r, s, 33), "invalid"),
        (380, "zeros behind", (r << 8).to_bytes(33, "big") + (s << 8).to_bytes(33, "big"), "invalid"),
        (381, "r + n", pair(r + n, s, 33), "invalid"),
        (382, "s + n", pair(r, s + n, 33), "invalid"),
        (383, "r overflows", pair(r + (1 << 256), s, 33), "invalid"),
        (384, "s overflows", pair(r, s + (1 << 256), 33), "invalid"),
        (385, "r and s of 256 bytes", pair(r, s, 256), "invalid"),
    ]
    edges = (("0", 0), ("1", 1), ("n-1", n - 1), ("n", n))
    for i, (one, a) in enumerate(edges):
        for j, (two, b) in enumerate(edges):
            cases.append((386 + 4 * i + j, f"r {one}, s {two}", pair(a, b), "invalid"))
    for case, comment, signature, result in cases:
        vector(f"es256-special-{case}", f"jws:{case}", comment, text + "." + b64(signature), keys, ["ES256"], result)


def key_sets():
    ec, other, key = Ec("structure"), Ec("other"), rsa("rs256")
    secret = stream("hs256", 32)
    es = signed(ec.sign, head(alg="ES256", kid="k"))
    by_mac = signed(mac(secret), head(alg="HS256", kid="mac"))
    mac_key = oct_key(secret, alg="HS256", use="sig", kid="mac")

    def rs(data, by=key):
        return by.raw(pkcs1(digest_info("sha256", data), by.size))

    def add(id, case, comment, jws, keys, alg, result="invalid", **more):
        vector(f"jwk-{id}", case, comment, jws, keys, [alg], result, **more)

    ec_key = ec.jwk(alg="ES256", use="sig", kid="k")
    add("mixed-set", "jwk:1 crypto:47", "MAC, symmetric and public keys in one set", by_mac, [mac_key, ec_key], "HS256")
    two = [mac_key, oct_key(stream("hs256 2", 32), alg="HS256", use="sig", kid="mac-2")]
    add("mac-set", "jwk:2 crypto:48", "MAC", by_mac, two, "HS256", "valid", accepted=False, why=NO_MAC)
    add("mac-set-changed", "jwk:3 crypto:49", "MAC changed", by_mac[:-2] + "AA", two, "HS256")
    same = [mac_key, oct_key(stream("hs256 2", 32), alg="HS256", use="sig", kid="mac")]
    add("mac-duplicate-kid", "jwk:4", "MAC, one kid twice", by_mac, same, "HS256")
    twice = [ec_key, other.jwk(alg="ES256", use="sig", kid="k")]
    add("duplicate-kid", "jwk:4", "one kid for two keys, signed by the first", es, twice, "ES256")
    add("duplicate-kid-reversed", "jwk:4", "one kid for two keys, signed by the second", es, twice[::-1], "ES256")
    add("same-key-twice", "jwk:4", "one key twice is not two keys", es, [ec_key, ec_key], "ES256", "valid")
    by_rsa = signed(rs, head(alg="RS256", kid="rsa"))
    add("rs256", "jwk:5", "RS256", by_rsa, [key.jwk(alg="RS256", use="sig", kid="rsa")], "RS256", "valid")
    add("wrong-use", "jwk:6", "key for RSA1_5", by_rsa, [key.jwk(alg="RSA1_5", use="enc", kid="rsa")], "RS256")
    weak = roca()
    by_weak = signed(lambda data: rs(data, weak), head(alg="RS256", kid="rsa"))
    add("roca", "jwk:7 crypto:46", "key of CVE-2017-15361", by_weak, [weak.jwk(alg="RS256", kid="rsa")], "RS256")
    short = rsa("short", 1024)
    by_short = signed(lambda data: rs(data, short), head(alg="RS256", kid="rsa"))
    add("rsa-1024", "jwk:8", "1024 bits", by_short, [short.jwk(alg="RS256", use="sig", kid="rsa")], "RS256")
    one = Rsa(*(rsa("one").n, 1), e=1)
    by_one = signed(lambda data: rs(data, one), head(alg="RS256", kid="rsa"))
    add("exponent-1", "jwk:9", "exponent 1", by_one, [one.jwk(alg="RS256", use="sig", kid="rsa")], "RS256")
    for i, (kind, size) in enumerate((("short", -1), ("long", 65), ("empty", 0))):
        for j, (bits, digest) in enumerate((("256", "sha256"), ("384", "sha384"), ("512", "sha512"))):
            length = int(bits) // 8 - 1 if size < 0 else size
            sized = bytes(range(length))
            jws = signed(mac(sized, digest), head(alg="HS" + bits, kid="mac"))
            keys = [oct_key(sized, alg="HS" + bits, use="sig", kid="mac")]
            valid = kind == "long"
            add(f"hs{bits}-{kind}", f"jwk:{10 + 3 * i + j}", f"{kind} MAC key", jws, keys, "HS" + bits,
                "valid" if valid else "invalid", accepted=False, why=NO_MAC if valid else None)
    add("alg-es521", "jwk:19", "alg of another curve", es, [ec.jwk(alg="ES521", use="sig", kid="k")], "ES256")
    add("alg-es224", "jwk:20", "alg that does not exist", es, [ec.jwk(alg="ES224", use="sig", kid="k")], "ES256")
    add("use-enc", "jwk:21", "use enc", es, [ec.jwk(alg="ES256", use="enc", kid="k")], "ES256")
    off = {**ec_key, "y": num(ec.y ^ (1 << 9), 32)}
    add("off-curve", "jwk:22", "point not on the curve", es, [off], "ES256")
    add("wrong-curve", "jwk:23", "another curve named", es, [{**ec_key, "crv": "P-384"}], "ES256")
    add("wrong-kty", "jwk:24", "another type named", es, [{**ec_key, "kty": "RSA"}], "ES256")
    for case, alg in ((25, "A256GCM"), (26, "A256KW")):
        keys = [oct_key(secret, alg=alg, use="sig", kid="mac")]
        add(f"aes-{alg.lower()}", f"jwk:{case}", "key for encryption", by_mac, keys, "HS256")


def encryption():
    """JWE: nothing here reads it, so what matters is that no form of it gets through."""
    ec = Ec("structure")
    keys = [ec.jwk(alg="ES256", use="sig", kid="k")]
    for name, first, header in (
        ("aes", 50, dict(alg="A256KW", kid="k", enc="A256CBC-HS512")),
        ("ec", 67, dict(alg="ECDH-ES+A128KW", kid="k", enc="A128CBC-HS256")),
    ):
        h = head(**header)
        k, iv, c, t = (b64(stream(f"jwe {name} {part}", size)) for part, size in
                       (("key", 72), ("iv", 16), ("text", 16), ("tag", 32)))
        shapes = [
            f"{h}.{k}.{iv}.{c}.{t}", f"{h}.{k}.{iv}.{c}.X{t[1:]}", f"{h}.{k}.{iv}.{c}.", f"{h}.{k}.{iv}.{c}",
            f"{h}.{k}.{iv}.X{c[1:]}.{t}", f"{h}.{k}.{iv}..{t}", f"{h}.{k}.{iv}.{t}", f"{h}.{k}.X{iv[1:]}.{c}.{t}",
            f"{h}.{k}..{c}.{t}", f"{h}.{k}.{c}.{t}", f"{h}.X{k[1:]}.{iv}.{c}.{t}", f"{h}..{iv}.{c}.{t}",
            f"{h}.{iv}.{c}.{t}", f"{head(**header | {'kid': 'X'})}.{k}.{iv}.{c}.{t}", f".{k}.{iv}.{c}.{t}",
            f"{k}.{iv}.{c}.{t}",
            json.dumps({"protected": h, "encrypted_key": k, "iv": iv, "ciphertext": c, "tag": t}),
        ]
        for i, jwe in enumerate(shapes):
            vector(
                f"jwe-{name}-{i + 1:02d}", f"crypto:{first + i}", "encrypted", jwe, keys, ["ES256", header["alg"]],
                "valid" if i == 0 else "invalid", accepted=False, why="encrypted tokens are not read" if i == 0 else None,
            )


def main():
    for part in (macs, es256, rs256, payloads, ps256, ps_others, rfc7520, spellings, es256_special, key_sets, encryption):
        part()
    ids = [v["id"] for v in VECTORS]
    assert len(ids) == len(set(ids)), [i for i in ids if ids.count(i) > 1]
    print('{\n "comment": "Written by wycheproof.py. What each member means: testdata/README.md.",')
    print(f' "issuer": "{ISSUER}", "audience": "{AUDIENCE}", "now": {NOW},\n "tests": [')
    print(",\n".join("  " + json.dumps(v) for v in VECTORS))
    print(" ]\n}")


main()
