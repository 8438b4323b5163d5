from django.db import migrations


class Migration(migrations.Migration):
    """Renames two tables and a column: shop_tag, shop_book_tags and its tag_id."""

    dependencies = [("shop", "0004_fill")]
    operations = [
        migrations.RenameModel("Tag", "Label"),
        migrations.RenameField("Book", "tags", "labels"),
    ]
