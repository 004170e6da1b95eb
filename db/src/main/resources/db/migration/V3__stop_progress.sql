-- How far a stop is, and how a replica notices that the database was replaced by an older one.

-- How many exchanges a gateway ended for a stop. A gateway writes its own total, so writing it twice changes nothing; it
-- has a new id after each start, so what it reported before stays. No reference to stop: a report must not fail
-- because a backup was restored that does not hold the stop yet.
CREATE TABLE stop_cut (
  stop         uuid NOT NULL,
  gateway      uuid NOT NULL,
  exchanges    bigint NOT NULL CHECK (exchanges > 0),
  PRIMARY KEY (stop, gateway)
);

-- How long the gateway may serve after this report; the longest that can be set for those that do not say so.
ALTER TABLE gateway_replica ADD COLUMN serves_millis bigint NOT NULL DEFAULT 60000;

-- A random mark for each epoch. Whoever has seen an epoch knows its mark: a database that does not hold it did not go
-- on from there, but was replaced by an older one. A trigger, so that whatever raises the epoch leaves one.
CREATE TABLE stop_mark (
  mark         uuid PRIMARY KEY,
  epoch        bigint NOT NULL
);
ALTER TABLE stop_epoch ADD COLUMN mark uuid NOT NULL DEFAULT gen_random_uuid();
INSERT INTO stop_mark (mark, epoch) SELECT mark, epoch FROM stop_epoch;

CREATE FUNCTION stop_mark_epoch() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = ${flyway:defaultSchema}, pg_temp AS $$
BEGIN
  NEW.mark := gen_random_uuid();
  INSERT INTO stop_mark (mark, epoch) VALUES (NEW.mark, NEW.epoch);
  RETURN NEW;
END $$;
CREATE TRIGGER stop_mark_epoch BEFORE UPDATE ON stop_epoch FOR EACH ROW EXECUTE FUNCTION stop_mark_epoch();

GRANT SELECT, INSERT, UPDATE ON stop_cut TO ${appRole};
GRANT SELECT, INSERT ON stop_mark TO ${appRole};
