from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("preferences", "0012_last_word_heard"),
    ]

    operations = [
        migrations.AddField(
            model_name="worker",
            name="progress",
            field=models.JSONField(
                help_text="How far the model that it loads has come: the fields of generation.progress.Progress.",
                null=True,
            ),
        ),
    ]
