# What the broker's own login may do for leases. It can read no credential itself: only an owner token can, one for each
# lease, with a policy of its own. What it can make owner tokens for is bounded by the token role. See docs/how-to/lease-database-logins.md.

# Owner tokens, by the token role that bounds what they may be.
path "auth/token/create/valetkey-lease" {
  capabilities = ["update"]
}
path "auth/token/renew-accessor" {
  capabilities = ["update"]
}
path "auth/token/revoke-accessor" {
  capabilities = ["update"]
}
path "auth/token/lookup-accessor" {
  capabilities = ["update"]
}

# Leases, by their ids. It could end those of others too, if it knew their ids.
path "sys/leases/renew" {
  capabilities = ["update"]
}
path "sys/leases/revoke" {
  capabilities = ["update"]
}
path "sys/leases/lookup" {
  capabilities = ["update"]
}

# The end of a static login is a new password.
path "database/rotate-role/*" {
  capabilities = ["update"]
}

# To compare what is out with Vault's own list (ids, no secrets). Optional.
path "sys/leases/lookup/database/creds/*" {
  capabilities = ["list", "sudo"]
}

# So that the self-test of a destination can read the role's templates. Optional.
path "database/roles/*" {
  capabilities = ["read"]
}
