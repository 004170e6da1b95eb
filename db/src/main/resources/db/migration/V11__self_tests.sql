-- Tests of brokered destinations: asked for at an issuer, run by a gateway, which alone reaches the upstreams and their
-- credentials. A row lives for the seconds that its test takes.
CREATE TABLE self_test (
  id           uuid PRIMARY KEY,
  destination  text NOT NULL,
  method       text NOT NULL CHECK (method IN ('GET', 'HEAD')),
  path         text,
  asked_at     timestamptz NOT NULL DEFAULT now(),
  taken_at     timestamptz,
  steps        jsonb
);

GRANT SELECT, INSERT, UPDATE, DELETE ON self_test TO ${appRole};
