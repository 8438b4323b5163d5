"""The application as it is today, after its last migration."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Author(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.TextField()
    api_key = models.TextField(default="")  # not logged: see migrations/0002_audit.py
    mentor = models.ForeignKey("self", models.SET_NULL, null=True, related_name="students")


class Label(models.Model):
    name = models.CharField(max_length=50, unique=True)


class Book(models.Model):
    title = models.CharField(max_length=200)
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    editor = models.ForeignKey(Author, models.SET_NULL, null=True, related_name="edited")
    labels = models.ManyToManyField(Label, related_name="books")
    price = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    details = models.JSONField(default=dict)
    keywords = ArrayField(models.TextField(), default=list)
    published = models.DateTimeField(null=True)
    stock = models.BigIntegerField(default=0)
    rating = models.IntegerField()


class Review(models.Model):
    book = models.ForeignKey(Book, models.CASCADE)
    body = models.TextField()
