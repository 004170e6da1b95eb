-- The whole model so far. Two roles: whoever runs the migrations owns everything; the application works as
-- ${appRole}, which may change the policy but can only add to and read the audit tables.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${appRole}') THEN
    BEGIN
      CREATE ROLE ${appRole} NOLOGIN;
      EXECUTE format('GRANT ${appRole} TO %I', current_user);  -- so that one login can play both parts
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL;  -- another database of this cluster was quicker
      WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the role ${appRole} does not exist and % may not create it', current_user
          USING HINT = 'Let a database administrator run: CREATE ROLE ${appRole} NOLOGIN;';
    END;
  END IF;
END $$;

GRANT USAGE ON SCHEMA ${flyway:defaultSchema} TO ${appRole};

-- ---------------------------------------------------------------- policy

CREATE TABLE issuer (
  name        text PRIMARY KEY,
  spec        jsonb NOT NULL,
  version     bigint NOT NULL,
  managed_by  text,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  -- The exact iss, or the SPIFFE trust domain: two issuers never answer for the same one.
  issuer_key  text NOT NULL UNIQUE
);

CREATE TABLE agent (
  name        text PRIMARY KEY,
  spec        jsonb NOT NULL,
  version     bigint NOT NULL,
  managed_by  text,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now()
);

-- One row for each identity of an agent, so that the database holds references to issuers together
-- and finds a second binding of the same subject by an index.
CREATE TABLE agent_identity (
  agent       text NOT NULL REFERENCES agent ON DELETE CASCADE,
  ordinal     int  NOT NULL,
  issuer      text NOT NULL REFERENCES issuer,
  subject     text NOT NULL,
  claims      jsonb NOT NULL,
  PRIMARY KEY (agent, ordinal),
  UNIQUE (issuer, subject, claims)
);

CREATE TABLE destination (
  name        text PRIMARY KEY,
  spec        jsonb NOT NULL,
  version     bigint NOT NULL,
  managed_by  text,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE scope (
  destination text NOT NULL REFERENCES destination,
  name        text NOT NULL,
  spec        jsonb NOT NULL,
  version     bigint NOT NULL,
  managed_by  text,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (destination, name)
);

CREATE TABLE agent_grant (
  name        text PRIMARY KEY,
  agent       text NOT NULL REFERENCES agent,
  destination text NOT NULL REFERENCES destination,
  spec        jsonb NOT NULL,
  version     bigint NOT NULL,
  managed_by  text,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  UNIQUE (agent, destination)
);
CREATE INDEX agent_grant_destination ON agent_grant (destination);

CREATE TABLE agent_grant_scope (
  grant_name  text NOT NULL REFERENCES agent_grant ON DELETE CASCADE,
  destination text NOT NULL,
  scope       text NOT NULL,
  PRIMARY KEY (grant_name, scope),
  FOREIGN KEY (destination, scope) REFERENCES scope
);
CREATE INDEX agent_grant_scope_scope ON agent_grant_scope (destination, scope);

-- What changed, in the order in which the changes were committed: every writer takes the same advisory lock
-- before it takes a number, so a reader that has seen n never misses a smaller number.
CREATE TABLE change_log (
  id          bigint PRIMARY KEY,
  kind        text NOT NULL,
  name        text NOT NULL,
  changed_at  timestamptz NOT NULL DEFAULT now()
);
CREATE SEQUENCE change_log_id;

-- ---------------------------------------------------------------- stops

-- One row. Issuing takes a share lock on it, a stop raises it: that orders the two without any clock.
CREATE TABLE stop_epoch (
  only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  epoch       bigint NOT NULL
);
INSERT INTO stop_epoch (epoch) VALUES (1);

CREATE TABLE stop (
  id           uuid PRIMARY KEY,
  epoch        bigint NOT NULL UNIQUE,
  target_kind  text NOT NULL CHECK (target_kind IN ('agent', 'destination', 'issuer', 'token', 'everything')),
  target       text NOT NULL,
  reason       text NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  created_by   text NOT NULL,
  expires_at   timestamptz,
  ended_epoch  bigint,
  ended_at     timestamptz,
  ended_by     text,
  end_reason   text,
  CHECK ((ended_at IS NULL) = (ended_epoch IS NULL))
);
CREATE INDEX stop_in_force ON stop (epoch) WHERE ended_at IS NULL;

-- What each gateway has seen. A gateway that does not report any more is not waited for.
CREATE TABLE gateway_replica (
  id           uuid PRIMARY KEY,
  started_at   timestamptz NOT NULL DEFAULT now(),
  seen_at      timestamptz NOT NULL DEFAULT now(),
  seen_epoch   bigint NOT NULL
);

-- ---------------------------------------------------------------- tokens

-- The public halves of all replicas' signing keys. The private halves never leave their replica.
CREATE TABLE signing_key (
  kid          text PRIMARY KEY,
  algorithm    text NOT NULL,
  public_jwk   jsonb NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  verify_until timestamptz NOT NULL
);

-- What may be used once: identity tokens of issuers that say so, and DPoP proofs.
CREATE TABLE used_once (
  purpose      text NOT NULL,
  context      text NOT NULL,
  jti          text NOT NULL,
  expires_at   timestamptz NOT NULL,
  PRIMARY KEY (purpose, context, jti)
);
CREATE INDEX used_once_expires_at ON used_once (expires_at);

-- When this installation began, and what is left of its bootstrap token: a hash and an end.
CREATE TABLE installation (
  only_row             boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  created_at           timestamptz NOT NULL DEFAULT now(),
  bootstrap_hash       bytea,
  bootstrap_ends_at    timestamptz
);

-- ---------------------------------------------------------------- audit

CREATE SEQUENCE audit_writer_id;

CREATE TABLE audit_record (
  time         timestamptz NOT NULL,
  writer       bigint NOT NULL,
  seq          bigint NOT NULL,
  decision_id  uuid NOT NULL,
  action       text NOT NULL,
  outcome      text NOT NULL CHECK (outcome IN ('granted', 'refused', 'failed')),
  reason       text,
  agent        text,
  issuer       text,
  subject      text,
  destination  text,
  scopes       text,
  jti          text,
  details      jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (time, writer, seq)
) PARTITION BY RANGE (time);

-- Makes the partitions from yesterday to so many days ahead. The application may call it but owns none of them.
CREATE FUNCTION audit_make_partitions(days_ahead int) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = ${flyway:defaultSchema}, pg_temp AS $$
DECLARE
  day   date;
  label text;
  made  int := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('valetkey.audit_make_partitions'));
  FOR day IN SELECT generate_series((now() AT TIME ZONE 'UTC')::date - 1,
                                    (now() AT TIME ZONE 'UTC')::date + least(days_ahead, 366), '1 day')::date LOOP
    label := 'audit_record_' || to_char(day, 'YYYYMMDD');
    IF to_regclass(label) IS NULL THEN
      EXECUTE format('CREATE TABLE %I PARTITION OF audit_record FOR VALUES FROM (%L) TO (%L)',
                     label, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
      EXECUTE format('GRANT SELECT, INSERT ON %I TO ${appRole}', label);
      made := made + 1;
    END IF;
  END LOOP;
  RETURN made;
END $$;
REVOKE ALL ON FUNCTION audit_make_partitions(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_make_partitions(int) TO ${appRole};
SELECT audit_make_partitions(14);

-- ---------------------------------------------------------------- rights of the application

GRANT SELECT, INSERT, UPDATE, DELETE ON
  issuer, agent, agent_identity, destination, scope, agent_grant, agent_grant_scope,
  gateway_replica, signing_key, used_once TO ${appRole};
GRANT SELECT, INSERT ON change_log, audit_record TO ${appRole};
GRANT SELECT, INSERT, UPDATE ON stop, installation TO ${appRole};
GRANT SELECT, UPDATE ON stop_epoch TO ${appRole};
GRANT USAGE ON SEQUENCE change_log_id, audit_writer_id TO ${appRole};
