-- Who is deleted leaves no token behind, not even a revoked one under a name of their own choice.
GRANT DELETE ON personal_access_tokens TO systemprompt_app;
