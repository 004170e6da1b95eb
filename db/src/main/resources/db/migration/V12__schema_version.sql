-- A broker that does not migrate still asks whether the schema is new enough for it.
GRANT SELECT ON "${flyway:table}" TO ${appRole};
