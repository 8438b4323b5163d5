from django.db import migrations, models
from django.db.models import F


def fill(apps, editor):
    apps.get_model("shop", "Book").objects.filter(rating=None).update(rating=F("stock") % 5)


class Migration(migrations.Migration):
    """Changes rows and then the table, in one transaction."""

    dependencies = [("shop", "0003_fields")]
    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AlterField("Book", "rating", models.IntegerField()),
    ]
