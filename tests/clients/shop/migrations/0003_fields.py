from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_audit")]
    operations = [
        migrations.AddField("Book", "rating", models.IntegerField(null=True)),
        migrations.AlterField("Book", "stock", models.BigIntegerField(default=0)),
        migrations.RemoveField("Book", "isbn"),
        migrations.RenameField("Author", "secret", "api_key"),
    ]
