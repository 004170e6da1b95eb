# What an agent may reach answers, and what it may not reach does not: ISSUER, GATEWAY, and the addresses in BLOCKED.
failed=0
status() { curl -ksS -o /dev/null -w '%{http_code}' --connect-timeout 5 --max-time 10 "$@" 2>/dev/null; }
expect() { # what, wanted, got
  if [ "$2" = "$3" ]; then echo "ok: $1"; else echo "FAILED: $1 (wanted $2, got $3)"; failed=1; fi
}
expect "the issuer publishes its keys" 200 "$(status "$ISSUER/oauth2/jwks")"
expect "the issuer gives no token to a stranger" 401 "$(status -d grant_type=client_credentials "$ISSUER/oauth2/token")"
expect "the gateway answers, and lets nobody through without a token" 401 "$(status "$GATEWAY/d/any/thing")"
for address in $BLOCKED; do
  # 000: no HTTP answer at all, of whatever kind.
  expect "$address is out of reach" 000 "$(status "$address")"
done
exit $failed
