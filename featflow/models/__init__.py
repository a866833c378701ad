"""Language models: trained, fine-tuned, merged, swept and measured."""
