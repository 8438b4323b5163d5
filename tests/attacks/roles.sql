-- The people of the attack suite; roles belong to the cluster.
CREATE ROLE vault_owner LOGIN;
CREATE ROLE mallory LOGIN;
CREATE ROLE clerk LOGIN;
CREATE ROLE auditor LOGIN;
