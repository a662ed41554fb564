//! What shells do beside setting variables when an environment becomes the active one: the prompt, and `despacktivate`.
//!
//! The prompt that there was is kept in the variables that Spack keeps it in, so that it does not matter whose code brings it
//! back.

use super::Shell;

impl Shell {
    /// Code for an environment that was activated. `prompt`: what is put before the shell's own one.
    pub fn entered(self, prompt: Option<&str>) -> String {
        let mut code = match self {
            Self::Sh => "alias despacktivate='eval \"$(strata env deactivate --sh)\"';\n".to_owned(),
            Self::Csh => "alias despacktivate 'eval `strata env deactivate --csh`';\n".to_owned(),
            Self::Fish => {
                "function despacktivate;\n   strata env deactivate --fish | source;\nend;\n".to_owned()
            }
        };
        let Some(prompt) = prompt.map(harmless) else { return code };
        match self {
            Self::Sh => {
                code += "if [ -z \"${SPACK_OLD_PS1+x}\" ]; then\n";
                code += "if [ -z \"${PS1+x}\" ]; then PS1='$$$$'; fi;\n";
                code += "export SPACK_OLD_PS1=\"${PS1}\";\nfi;\n";
                code += &format!("export PS1='{prompt} '\"${{PS1}}\";\n");
            }
            Self::Csh => {
                code += "if ( $?prompt ) eval 'if ( ! $?SPACK_OLD_PROMPT ) ";
                code += "setenv SPACK_OLD_PROMPT \"${prompt}\"; ";
                code += &format!("set prompt=\"{prompt} ${{prompt}}\"';\n");
            }
            // A function makes it, which is left alone.
            Self::Fish => {}
        }
        code
    }

    /// Code for an environment that was left, if one was.
    pub fn left(self) -> String {
        match self {
            Self::Sh => "if alias despacktivate >/dev/null 2>&1; then unalias despacktivate; fi;\n\
                 if [ -n \"${SPACK_OLD_PS1+x}\" ]; then\n\
                 if [ \"${SPACK_OLD_PS1}\" = '$$$$' ]; then unset PS1; else export PS1=\"${SPACK_OLD_PS1}\"; fi;\n\
                 unset SPACK_OLD_PS1;\nfi;\n"
                .to_owned(),
            Self::Csh => "unalias despacktivate;\n\
                 if ( $?SPACK_OLD_PROMPT ) eval 'set prompt=\"${SPACK_OLD_PROMPT}\"; unsetenv SPACK_OLD_PROMPT';\n"
                .to_owned(),
            Self::Fish => "functions -q despacktivate; and functions -e despacktivate;\n".to_owned(),
        }
    }
}

/// Shells run what stands in a prompt.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() || "_-./+@:[] ".contains(c) { c } else { '_' }).collect()
}
