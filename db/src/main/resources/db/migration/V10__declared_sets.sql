-- Declared policy: sets of resources that somebody keeps elsewhere, such as files in version control, and applies as a whole.

-- A set is checked as it stands together, whatever the order in which its rows are written. A single write is checked at
-- once, as before: the constraints are only deferred where a transaction asks for it.
ALTER TABLE agent_identity ALTER CONSTRAINT agent_identity_agent_fkey DEFERRABLE INITIALLY IMMEDIATE;
ALTER TABLE agent_identity ALTER CONSTRAINT agent_identity_issuer_fkey DEFERRABLE INITIALLY IMMEDIATE;
ALTER TABLE scope ALTER CONSTRAINT scope_destination_fkey DEFERRABLE INITIALLY IMMEDIATE;
ALTER TABLE agent_grant ALTER CONSTRAINT agent_grant_agent_fkey DEFERRABLE INITIALLY IMMEDIATE;
ALTER TABLE agent_grant ALTER CONSTRAINT agent_grant_destination_fkey DEFERRABLE INITIALLY IMMEDIATE;
ALTER TABLE agent_grant_scope ALTER CONSTRAINT agent_grant_scope_grant_name_fkey DEFERRABLE INITIALLY IMMEDIATE;
ALTER TABLE agent_grant_scope ALTER CONSTRAINT agent_grant_scope_destination_scope_fkey DEFERRABLE INITIALLY IMMEDIATE;

-- contract: still enforced
ALTER TABLE issuer DROP CONSTRAINT issuer_issuer_key_key,
  ADD CONSTRAINT issuer_issuer_key_key UNIQUE (issuer_key) DEFERRABLE INITIALLY IMMEDIATE;
-- contract: still enforced
ALTER TABLE agent_identity DROP CONSTRAINT agent_identity_issuer_subject_claims_key,
  ADD CONSTRAINT agent_identity_issuer_subject_claims_key UNIQUE (issuer, subject, claims) DEFERRABLE INITIALLY IMMEDIATE;
-- contract: still enforced
ALTER TABLE agent_grant DROP CONSTRAINT agent_grant_agent_destination_key,
  ADD CONSTRAINT agent_grant_agent_destination_key UNIQUE (agent, destination) DEFERRABLE INITIALLY IMMEDIATE;

-- The version that the owner's last apply wrote: another one now means that somebody changed it by hand since.
ALTER TABLE issuer ADD COLUMN applied_version bigint;
ALTER TABLE agent ADD COLUMN applied_version bigint;
ALTER TABLE destination ADD COLUMN applied_version bigint;
ALTER TABLE scope ADD COLUMN applied_version bigint;
ALTER TABLE agent_grant ADD COLUMN applied_version bigint;
ALTER TABLE signal_rule ADD COLUMN applied_version bigint;

CREATE INDEX issuer_managed_by ON issuer (managed_by) WHERE managed_by IS NOT NULL;
CREATE INDEX agent_managed_by ON agent (managed_by) WHERE managed_by IS NOT NULL;
CREATE INDEX destination_managed_by ON destination (managed_by) WHERE managed_by IS NOT NULL;
CREATE INDEX scope_managed_by ON scope (managed_by) WHERE managed_by IS NOT NULL;
CREATE INDEX agent_grant_managed_by ON agent_grant (managed_by) WHERE managed_by IS NOT NULL;
CREATE INDEX signal_rule_managed_by ON signal_rule (managed_by) WHERE managed_by IS NOT NULL;

-- The newest generation of each owner's set: an older one, from a replica that is behind or a pipeline that is late, is
-- not applied any more.
CREATE TABLE policy_owner (
  name        text PRIMARY KEY,
  generation  bigint NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON policy_owner TO ${appRole};
