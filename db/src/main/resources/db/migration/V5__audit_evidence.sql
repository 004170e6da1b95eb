-- What makes a change of the audit trail show, and what lets others follow it.

-- One row for each batch of records, written by the statement that writes them: the hash of each record, in the order of seq,
-- and one hash over all of that and the writer's previous seal. The position orders batches for those who follow the trail;
-- a number that is missing belongs to a transaction that was rolled back, or is still under way. Nobody but the sequence gives a
-- position: a made-up one far ahead would keep whoever follows from all that comes before it.
CREATE SEQUENCE audit_seal_position;
CREATE TABLE audit_seal (
  position     bigint PRIMARY KEY DEFAULT nextval('audit_seal_position'),
  writer       bigint NOT NULL,
  first_seq    bigint NOT NULL,
  last_seq     bigint NOT NULL CHECK (last_seq >= first_seq),
  first_time   timestamptz NOT NULL,
  last_time    timestamptz NOT NULL CHECK (last_time >= first_time),
  leaves       bytea NOT NULL CHECK (length(leaves) = 32 * (last_seq - first_seq + 1)),
  hash         bytea NOT NULL CHECK (length(hash) = 32),
  UNIQUE (writer, last_seq)
);
-- Hashes do not compress, so nobody should try.
ALTER TABLE audit_seal ALTER COLUMN leaves SET STORAGE EXTERNAL;

-- Signed statements about all seals up to a position, each naming the one before. A compact JWS.
CREATE TABLE audit_checkpoint (
  number       bigint PRIMARY KEY,
  made_at      timestamptz NOT NULL,
  upto         bigint NOT NULL,
  jws          text NOT NULL
);

-- A number or a position far ahead would be the last word for ever.
CREATE FUNCTION audit_checkpoint_follows() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = ${flyway:defaultSchema}, pg_temp AS $$
BEGIN
  IF NEW.number IS DISTINCT FROM (SELECT coalesce(max(number), 0) + 1 FROM audit_checkpoint)
     OR NEW.upto < (SELECT coalesce(max(upto), 0) FROM audit_checkpoint)
     OR NEW.upto > (SELECT coalesce(max(position), 0) FROM audit_seal) THEN
    RAISE EXCEPTION 'this checkpoint does not follow the last one' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION audit_checkpoint_follows() FROM PUBLIC;
CREATE TRIGGER audit_checkpoint_follows BEFORE INSERT ON audit_checkpoint
  FOR EACH ROW EXECUTE FUNCTION audit_checkpoint_follows();

-- From when on records are sealed: what is older has no evidence.
CREATE TABLE audit_sealed_since (
  only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  since        timestamptz NOT NULL DEFAULT now()
);
INSERT INTO audit_sealed_since DEFAULT VALUES;

-- How far each sink has been fed.
CREATE TABLE audit_sink (
  name         text PRIMARY KEY,
  position     bigint NOT NULL,
  checkpoint   bigint NOT NULL,
  fed_at       timestamptz NOT NULL DEFAULT now()
);

-- Whatever asks for it, nothing younger than this is dropped; null: nothing at all. Only the owner of the schema can set it.
CREATE TABLE audit_retention_floor (
  only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  days         int CHECK (days >= 7)
);
INSERT INTO audit_retention_floor DEFAULT VALUES;

-- Drops the days that ended before a moment, with the seals up to a position and the checkpoints up to a number, which must
-- speak of nothing younger and not be the last. Gives up at once if somebody reads: issuing must not queue up behind it.
CREATE FUNCTION audit_drop_before(cut timestamptz, upto_position bigint, upto_checkpoint bigint) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = ${flyway:defaultSchema}, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
  part    text;
  floor   int := (SELECT days FROM audit_retention_floor);
  dropped int := 0;
BEGIN
  IF floor IS NULL THEN
    RAISE EXCEPTION 'audit records are kept for ever until the owner of the schema sets audit_retention_floor'
      USING ERRCODE = 'check_violation';
  END IF;
  IF cut IS NULL OR cut > now() - make_interval(days => floor) THEN
    RAISE EXCEPTION 'audit records this young are not dropped' USING ERRCODE = 'check_violation';
  END IF;
  IF EXISTS (SELECT FROM audit_seal WHERE position <= upto_position AND last_time >= cut)
     OR NOT EXISTS (SELECT FROM audit_checkpoint WHERE number = upto_checkpoint AND upto = upto_position)
     OR NOT EXISTS (SELECT FROM audit_checkpoint WHERE number > upto_checkpoint)
     OR EXISTS (SELECT FROM audit_checkpoint WHERE number <= upto_checkpoint AND upto > upto_position) THEN
    RAISE EXCEPTION 'the seals or checkpoints up to % speak of younger records', upto_position
      USING ERRCODE = 'check_violation';
  END IF;
  -- Before the lock that keeps writers waiting.
  DELETE FROM audit_seal WHERE position <= upto_position;
  DELETE FROM audit_checkpoint WHERE number <= upto_checkpoint;
  FOR part IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
              WHERE i.inhparent = 'audit_record'::regclass AND c.relname ~ '^audit_record_\d{8}$'
                AND (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC' <= cut
              ORDER BY 1 LOOP
    EXECUTE format('DROP TABLE %I', part);
    dropped := dropped + 1;
  END LOOP;
  RETURN dropped;
END $$;
REVOKE ALL ON FUNCTION audit_drop_before(timestamptz, bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_drop_before(timestamptz, bigint, bigint) TO ${appRole};

GRANT SELECT, INSERT ON audit_checkpoint TO ${appRole};
GRANT SELECT, INSERT (writer, first_seq, last_seq, first_time, last_time, leaves, hash) ON audit_seal TO ${appRole};
GRANT SELECT ON audit_sealed_since, audit_retention_floor TO ${appRole};
GRANT SELECT, INSERT, UPDATE ON audit_sink TO ${appRole};
GRANT USAGE, SELECT ON SEQUENCE audit_seal_position TO ${appRole};
