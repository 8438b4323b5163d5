"""The history of the application; see test_django_migrations.py."""
