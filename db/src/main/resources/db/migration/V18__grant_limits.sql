-- Limits of grants that hold across replicas. A grant that nobody uses has no row.

-- What is used of requestsPerMinute: it grows by what replicas take and shrinks evenly, a full limit in a minute.
CREATE TABLE grant_rate (
  grant_name  text PRIMARY KEY,
  per_minute  int NOT NULL CHECK (per_minute > 0),
  used        double precision NOT NULL CHECK (used >= 0),
  at          timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Takes a portion for one replica. "owed" is what it served ahead of this portion, or, below zero, what it gives back;
-- "want" the least it would like to have, 0 for nothing. While much is left a portion is larger: half of the replica's
-- even share, so that the last ones are small. The clock is this database's; when it is put back, that time gives nothing
-- and costs nothing.
CREATE FUNCTION grant_rate_take(of_grant text, rate int, owed int, want int, sharers int,
                                OUT given int, OUT remaining double precision)
  LANGUAGE plpgsql SET search_path = ${flyway:defaultSchema}, pg_temp AS $$
DECLARE
  held grant_rate;
  moment timestamptz;
  so_far double precision;
  room int;
BEGIN
  LOOP
    SELECT * INTO held FROM grant_rate g WHERE g.grant_name = of_grant FOR UPDATE;
    EXIT WHEN FOUND;
    INSERT INTO grant_rate (grant_name, per_minute, used, at) VALUES (of_grant, rate, 0, clock_timestamp())
      ON CONFLICT DO NOTHING;
  END LOOP;
  moment := clock_timestamp();
  so_far := greatest(0, held.used - greatest(0, extract(epoch FROM moment - held.at)) * rate / 60.0);
  -- A replica that is not sure whether its last take was heard says again what it owes: never more than another minute.
  so_far := greatest(0, least(so_far + owed, 2.0 * rate));
  room := greatest(0, floor(rate - so_far));
  given := CASE WHEN want = 0 THEN 0 ELSE least(room, greatest(want, room / (2 * greatest(sharers, 1)))) END;
  UPDATE grant_rate SET per_minute = rate, used = so_far + given, at = moment WHERE grant_name = of_grant;
  remaining := rate - so_far - given;
END $$;

REVOKE ALL ON FUNCTION grant_rate_take(text, int, int, int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION grant_rate_take(text, int, int, int, int) TO ${appRole};
GRANT SELECT, INSERT, UPDATE, DELETE ON grant_rate TO ${appRole};
