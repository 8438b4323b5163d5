import uuid

import django.contrib.postgres.fields
import django.db.models.deletion as deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            "Author",
            [
                ("id", models.UUIDField(primary_key=True, serialize=False, default=uuid.uuid4)),
                ("name", models.TextField()),
                ("secret", models.TextField(default="")),
                (
                    "mentor",
                    models.ForeignKey("shop.author", deletion.SET_NULL, null=True, related_name="students"),
                ),
            ],
        ),
        migrations.CreateModel(
            "Tag",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=50, unique=True)),
            ],
        ),
        migrations.CreateModel(
            "Book",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("title", models.CharField(max_length=200)),
                ("isbn", models.CharField(max_length=13, default="")),
                ("author", models.ForeignKey("shop.author", deletion.CASCADE, related_name="books")),
                (
                    "editor",
                    models.ForeignKey("shop.author", deletion.SET_NULL, null=True, related_name="edited"),
                ),
                ("tags", models.ManyToManyField("shop.tag", related_name="books")),
                ("price", models.DecimalField(max_digits=8, decimal_places=2, default=0)),
                ("details", models.JSONField(default=dict)),
                ("keywords", django.contrib.postgres.fields.ArrayField(models.TextField(), default=list)),
                ("published", models.DateTimeField(null=True)),
                ("stock", models.IntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            "Review",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("book", models.ForeignKey("shop.book", deletion.CASCADE)),
                ("body", models.TextField()),
            ],
        ),
    ]
